"""From files to a configuration that is ready to run: read, checked, scripts judged.

Reading can take a second for a very large file; a reload runs `load` in a thread.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import Loaded, scripts_of
from keepalive_py.config.build import load as load_config
from keepalive_py.config.diagnostics import Diagnostic, ExitClass, Severity, Span, exit_status
from keepalive_py.config.includes import escaped
from keepalive_py.config.model import Config, GlobalDefs
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.provenance import Written
from keepalive_py.config.source import Source
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.vetting import Vetting
from keepalive_py.notify.security import NO_SCRIPT, ScriptPolicy
from keepalive_py.sources.capture import Capture, Recorder, Replay
from keepalive_py.sources.files import FileSystem
from keepalive_py.sources.template import Rendered, rendered

EXIT_CONFIG, EXIT_NO_CONFIG = 2, 6
SECURITY = "script-security"  # the language layer's word for scripts without script security


@dataclass(frozen=True, slots=True)
class Ready:
    """`config` is what to run, None when there is nothing. `diagnostics` are what the language
    layer said, `remarks` are log lines about scripts."""

    config: Config | None
    diagnostics: tuple[Diagnostic, ...]
    policy: ScriptPolicy = ScriptPolicy(None)
    remarks: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()  # of the remarks, those about checks that are left out
    wrong_account: bool = False  # keepalived counts an account that is not there as a mistake
    files: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()  # files and patterns whose change means another configuration
    begun: int = 0  # when reading it began, in nanoseconds of Unix time
    capture: Capture = Capture("")
    generation: int = 0  # it is an older one, kept under this number; 0: it is that of the files
    instead_of: Ready | None = None  # the configuration of the files, which does not run
    why: str = ""  # it does not
    pinned: bool = False  # an operator wants it so

    @property
    def settings(self) -> GlobalDefs:
        return GlobalDefs() if self.config is None else self.config.global_defs

    @property
    def errors(self) -> list[Diagnostic]:
        return [each for each in self.diagnostics if each.severity is Severity.ERROR]

    @property
    def lacks_a_file(self) -> bool:
        """One that an include asks for in a form that insists (`includer`, `includea`, …, or -e)."""
        return any(each.exit_class is ExitClass.INCLUDE for each in self.diagnostics)

    @property
    def exit_status_of_test(self) -> int:
        """Of `-t`."""
        return exit_status(self.diagnostics, ExitClass.GENERAL if self.wrong_account else ExitClass.OK)

    @property
    def exit_status_at_start(self) -> int:
        """Of a configuration that is not run: 6 when it is not all there, else 2."""
        return EXIT_CONFIG if self.files and not self.lacks_a_file else EXIT_NO_CONFIG


def load(options: Options, capture: Capture | None = None) -> Ready:
    """Read everything anew, or what once was read. Mistakes are diagnostics; nothing is raised
    for them."""
    begun = time.time_ns()
    source = source_of(options) if capture is None else Replay(capture)
    main = main_of(options, source) if capture is None else capture.main
    extra = options.extra_file if capture is None else capture.extra
    recorder = Recorder(source)
    ready = adapted(mapped(parsed(options, recorder, main, extra), source), options)
    return dataclasses.replace(ready, capture=recorder.capture(main, extra), begun=begun)


def source_of(options: Options) -> Source:
    """Where the text comes from: the files, or a template."""
    if options.template is None:
        return FileSystem()
    return rendered(options.template, options.values, node_of(options))


def main_of(options: Options, source: Source) -> str:
    return source.main if isinstance(source, Rendered) else options.config_file


def node_of(options: Options) -> str:
    """The name that `@ID` is compared with."""
    return os.uname().nodename if options.config_id is None else options.config_id


def mapped(loaded: Loaded, source: Source) -> Loaded:
    """Of a template: what is wrong is told at its lines, and it is watched in place of the text."""
    if not isinstance(source, Rendered):
        return loaded
    watched = (*map(escaped, source.files), *loaded.watched)
    if source.trouble is not None:
        return Loaded(None, (source.trouble,), source.files, watched)
    files = (*source.files, *(file for file in loaded.files if file != source.main))
    diagnostics = source.mapped(loaded.diagnostics)
    return dataclasses.replace(loaded, diagnostics=diagnostics, files=files, watched=watched)


def adapted(loaded: Loaded, options: Options) -> Ready:
    """Without what the command line leaves out."""
    if loaded.config is not None and not options.serve_checkers:
        nothing = dataclasses.replace(loaded.config, virtual_servers=())
        loaded = dataclasses.replace(loaded, config=nothing)
    if loaded.config is not None and not options.speak_bfd:
        silent = dataclasses.replace(loaded.config, bfd_instances={})
        loaded = dataclasses.replace(loaded, config=silent)
    return judged(loaded)


def read(options: Options) -> Loaded:
    """The language part alone, which is all that `-t` looks at."""
    source = source_of(options)
    return mapped(parsed(options, source, main_of(options, source), options.extra_file), source)


def read_with_places(options: Options) -> tuple[Loaded, Written, Callable[[Span], Span]]:
    """Also where every setting stands, and where that is in the template, if there is one."""
    source, written = source_of(options), Written()
    loaded = parsed(options, source, main_of(options, source), options.extra_file, written)
    return (
        mapped(loaded, source),
        written,
        source.place if isinstance(source, Rendered) else lambda span: span,
    )


def parsed(
    options: Options, source: Source, main: str, extra: str | None, written: Written | None = None
) -> Loaded:
    reading = ReadOptions(
        config_id=node_of(options),
        strict_includes=options.all_config,
        environment=dict(os.environ),
        random=random.randint,
        directory=os.getcwd(),
    )
    return load_config(main, source, reading, REGISTRY, extra, written)


def judged(loaded: Loaded) -> Ready:
    config = loaded.config
    if config is None:
        return Ready(None, loaded.diagnostics, files=loaded.files, watched=loaded.watched)
    vetting = Vetting(ScriptPolicy.of(config.global_defs))
    diagnostics = loaded.diagnostics
    vetted = with_sender(vetting.run(config))
    scripts = set(scripts_of(config))
    if not {vetting.fate(script) for script in scripts} - NO_SCRIPT:
        diagnostics = tuple(each for each in diagnostics if each.code != SECURITY)
    watched = (*loaded.watched, *script_files(config))
    remarks, disabled = tuple(vetting.remarks), tuple(vetting.disabled)
    nobody = vetting.policy.default is None and any(script.user is None for script in scripts)
    wrong = vetting.wrong or nobody
    return Ready(vetted, diagnostics, vetting.policy, remarks, disabled, wrong, loaded.files, watched)


def script_files(config: Config) -> list[str]:
    """Patterns of the scripts that are named by path: whether one may run can change."""
    paths = {script.argv[0] for script in scripts_of(config) if script.argv}
    return sorted(escaped(path) for path in paths if path.startswith("/"))


def with_sender(config: Config) -> Config:
    """Mails come from the daemon's user on this host, unless somebody is named."""
    defs, host = config.global_defs, os.uname().nodename
    if not defs.mail.to:
        return config
    mail = dataclasses.replace(
        defs.mail,
        sender=defs.mail.sender or f"{login()}@{host}",
        helo_name=defs.mail.helo_name or host,
    )
    return dataclasses.replace(config, global_defs=dataclasses.replace(defs, mail=mail))


def login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except LookupError:
        return str(os.getuid())


def new_errors(before: Iterable[Diagnostic], after: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The errors of `after` that `before` does not have. What the running configuration was
    started with in spite of an error does not stop a reload that leaves the error there."""
    return [each for each in new_diagnostics(before, after) if each.severity is Severity.ERROR]


def new_diagnostics(before: Iterable[Diagnostic], after: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those of `after` that `before` does not have, each as often as it is there."""
    known = Counter(map(likeness, before))
    fresh: list[Diagnostic] = []
    for each in after:
        if known[likeness(each)]:
            known[likeness(each)] -= 1
        else:
            fresh.append(each)
    return fresh


def likeness(diagnostic: Diagnostic) -> tuple[Severity, str, str, str]:
    """What stays the same of a diagnostic when lines move."""
    return (diagnostic.severity, diagnostic.code, diagnostic.summary, diagnostic.context_title)
