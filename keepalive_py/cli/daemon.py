"""`keepalive-py`: the daemon, started as keepalived is.

Exit status, keepalived's: 0 well (also: already running), 1 fatal or a bad command line,
2 a configuration that cannot be run, 4 no permission, 6 no configuration, 70 a mistake of ours,
204 out of memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import Sequence

from keepalive_py import __version__
from keepalive_py.cli import genhash
from keepalive_py.cli import options as command_line
from keepalive_py.cli.config_test import config_test
from keepalive_py.cli.dry_run import dry_run
from keepalive_py.cli.options import CommandLine, UsageError
from keepalive_py.cli.report import show
from keepalive_py.config.model import GlobalDefs
from keepalive_py.daemon import logs, netns, process, upgrade, voice
from keepalive_py.daemon.configuring import at_start
from keepalive_py.daemon.life import Life, running_on
from keepalive_py.daemon.loading import Ready
from keepalive_py.daemon.lookups import LookupLoop
from keepalive_py.daemon.memory import growing
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import Paths, paths
from keepalive_py.daemon.pidfile import AlreadyRunning, PidFile
from keepalive_py.daemon.systemd import ServiceNotifier

NAME = f"Keepalive_py v{__version__}"
EXIT_OK, EXIT_FATAL, EXIT_PERMISSION, EXIT_SOFTWARE, EXIT_MEMORY = 0, 1, 4, 70, 204
SIGNUMS = {"STOP": 15, "RELOAD": 1, "DATA": 10, "STATS": 12, "STATS_CLEAR": 63, "JSON": 36}
SIGNUMS["UPGRADE"] = int(upgrade.SIGNAL)


def main(words: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    try:
        line = command_line.parse(words)
        for remark in line.remarks:
            print(remark, file=sys.stderr)
        status = act(line, words)
        if sys.stdout is not None:
            sys.stdout.flush()  # at the end of the interpreter nobody is left to hear that it is gone
        return status
    except UsageError as error:
        print(error, file=sys.stderr)
        return EXIT_FATAL
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_FATAL
    except MemoryError:
        print("out of memory", file=sys.stderr)
        return EXIT_MEMORY
    except Exception as error:  # the boundary: an operator never sees a traceback
        print(f"keepalive-py: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        if os.environ.get("KEEPALIVE_PY_DEBUG"):
            raise
        return EXIT_SOFTWARE


def act(line: CommandLine, words: Sequence[str]) -> int:
    if line.action == "help":
        print(command_line.usage())
        return EXIT_OK
    if line.action == "version":
        print(f"{NAME}\n{running_on()}", file=sys.stderr)
        return EXIT_OK
    if line.action == "signum":
        return print_signum(line.rest[0])
    if line.action == "genhash":
        return genhash.main(line.rest)
    if line.options.config_test:
        return config_test(line.options)
    if line.options.dry_run:
        return dry_run(line.options)
    return start(line.options, words)


def print_signum(name: str) -> int:
    if name not in SIGNUMS:
        print(f"Unknown sigfunc {name}", file=sys.stderr)
        return EXIT_FATAL
    print(SIGNUMS[name])
    return EXIT_OK


def start(options: Options, words: Sequence[str]) -> int:
    """Read the configuration, become a daemon, live."""
    process.fill_standard_descriptors()
    if not open_logs(options, GlobalDefs()):
        return EXIT_FATAL
    try:
        return prepared(options, words)
    finally:
        logs.OUTPUTS.close()


def open_logs(options: Options, settings: GlobalDefs) -> bool:
    namespace = options.namespace or settings.net_namespace
    try:
        logs.configure(options, logs.ident(options, namespace, settings.instance))
    except OSError as error:
        print(f"Unable to open log file {options.log_file}: {error.strerror}", file=sys.stderr)
        return False
    return True


def prepared(options: Options, words: Sequence[str]) -> int:
    voice.say(f"Starting {NAME}")
    voice.say(running_on())
    voice.say("Command line: " + " ".join(f"'{word}'" for word in ("keepalive-py", *words)))
    voice.say(f"Configuration file {options.template or options.config_file}")
    options = from_anywhere(options)
    with growing():
        ready = at_start(options)
    if ready.instead_of is not None:
        voice.complain(ready.instead_of.errors)
        voice.log.error(f"Generation {ready.generation} runs instead of the files: {ready.why}")
    voice.complain(ready.diagnostics)
    if ready.config is None or ready.lacks_a_file or (options.strict and ready.errors):
        return refused(options, ready)
    open_logs(options, ready.settings)
    for remark in ready.remarks:
        voice.warn(remark)
    try:
        return in_namespace(options, ready)
    except AlreadyRunning:
        voice.say("daemon is already running")
        return EXIT_OK


def from_anywhere(options: Options) -> Options:
    """In the background we are in `/`, and a reload must find the same files."""
    if options.foreground:
        return options
    named = {
        name: os.path.abspath(path)
        for name in ("config_file", "extra_file", "template", "values", "state_directory")
        if (path := getattr(options, name))
    }
    return dataclasses.replace(options, **named)


def refused(options: Options, ready: Ready) -> int:
    """Somebody may be looking at the terminal, even if the log is elsewhere."""
    if not (options.log_console and options.foreground):
        show(ready.diagnostics, sys.stderr)
    status = ready.exit_status_at_start
    voice.log.error(f"The configuration cannot be run: exit status {status}")
    return status


def in_namespace(options: Options, ready: Ready) -> int:
    name = options.namespace or ready.settings.net_namespace
    if name:
        try:
            netns.enter(name)
        except OSError as error:
            voice.log.error(f"Unable to set network namespace {name} - exiting: {error.strerror}")
            return EXIT_FATAL
    return locked(options, ready, paths(options, ready.settings))


def locked(options: Options, ready: Ready, files: Paths) -> int:
    """Hold the pid files for as long as we live. Both name this process: there is only one."""
    held: list[PidFile] = []
    try:
        for path in dict.fromkeys((files.pid, files.checkers_pid)):
            held.append(PidFile(path))
        if upgrade.taken_over():
            if not options.foreground:
                os.chdir("/")
        elif not options.foreground and (daemon := process.into_background()):
            for pid_file in held:
                pid_file.write(daemon)
            os._exit(EXIT_OK)  # the daemon has it all now: nothing here may be undone
        for pid_file in held:
            pid_file.write(os.getpid())
        return lived(options, ready, files)
    except AlreadyRunning:
        raise
    except PermissionError as error:
        voice.log.error(
            f"{error.filename}: {error.strerror}; run as root, or name other pid files with -p and -c"
        )
        return EXIT_PERMISSION
    except OSError as error:
        voice.log.error(f"{error.filename or 'keepalive-py'}: {error.strerror}")
        return EXIT_FATAL
    finally:
        for pid_file in held:
            pid_file.remove()


def lived(options: Options, ready: Ready, files: Paths) -> int:
    process.set_umask(options, ready.settings)
    process.set_name(ready.settings, voice.warn)
    process.allow_core_files(options, voice.warn)
    process.raise_descriptor_limit(voice.warn)
    process.apply_scheduling(ready.settings, voice.warn)
    try:
        with asyncio.Runner(loop_factory=LookupLoop) as runner:
            status = runner.run(life(options, ready, files))
        if status == upgrade.EXIT_UPGRADE:
            voice.say("Going on as the program that is on the disk now")
            upgrade.become()
    except Exception as error:  # in the background there is no stderr to say it on
        voice.mistake("the daemon", error)
        return EXIT_SOFTWARE
    voice.say(f"Stopped {NAME}")
    return status


async def life(options: Options, ready: Ready, files: Paths) -> int:
    if options.role == "realserver":
        from keepalive_py.daemon.realserver import RealServer  # brings an HTTP server, which takes a while

        return await RealServer(options, ready, ServiceNotifier.take_over()).run()
    return await Life(options, ready, files, ServiceNotifier.take_over()).run()


if __name__ == "__main__":
    sys.exit(main())
