"""The command line of `keepalive-py`: keepalived(8)'s grammar as one table.

GNU rules with keepalived's limits: long options are not abbreviated, an optional argument
must be attached (`-t/tmp/log`, `--config-test=/tmp/log`), flags of one letter may be run
together, words that are left over are only mentioned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from keepalive_py.config.spelling import nearest
from keepalive_py.daemon.options import DEFAULT_CONFIG, Options

DEFAULT_LOG_FILE = "/tmp/keepalived.log"
DEFAULT_CORE_PATTERN = "core"

Values = dict[str, object]
Effect = Callable[[Values, str | None], None]


class UsageError(Exception):
    """The command line cannot be understood; the message is for the operator."""


class Remark(Exception):
    """A value that is not usable: said, and the option is left as it was."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One option. `argument` is what its argument is called, "" for none. An `action` ends
    the reading of the command line; a `note` is said when the flag is given."""

    short: str
    long: str
    argument: str
    help: str
    effect: Effect | None = None
    optional: bool = False
    action: str = ""
    note: str = ""
    hidden: bool = False


@dataclass(slots=True)
class CommandLine:
    """What the words of a command line come to. `action` is "run", "help", "version",
    "signum" or "genhash"; `rest` is the argument of the last two."""

    options: Options = field(default_factory=Options)
    action: str = "run"
    rest: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)


def set_to(name: str, value: object) -> Effect:
    def effect(values: Values, _argument: str | None) -> None:
        values[name] = value

    return effect


def text(name: str, default: str | None = None) -> Effect:
    def effect(values: Values, argument: str | None) -> None:
        values[name] = default if argument is None else argument

    return effect


def one_of(name: str, *choices: str) -> Effect:
    def effect(values: Values, argument: str | None) -> None:
        if argument not in choices:
            raise UsageError(f"--{name.replace('_', '-')} must be one of {', '.join(choices)}")
        values[name] = argument

    return effect


def seconds(name: str) -> Effect:
    def effect(values: Values, argument: str | None) -> None:
        try:
            number = float(argument or "")
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')} must be a number of seconds")
        values[name] = number

    return effect


def number(name: str, least: float, most: float, what: str, read: Callable[[str], float] = float) -> Effect:
    def effect(values: Values, argument: str | None) -> None:
        try:
            found = read((argument or "").removesuffix("%"))
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            raise UsageError(f"--{name.replace('_', '-')} must be {what}")
        values[name] = found

    return effect


def more_detail(values: Values, _argument: str | None) -> None:
    level = values.get("log_detail", 0)
    values["log_detail"] = level + 1 if isinstance(level, int) else 1


def config_test(values: Values, argument: str | None) -> None:
    values["config_test"] = True
    values["config_test_log"] = argument


def facility(values: Values, argument: str | None) -> None:
    word = argument or ""
    name = f"local{word}" if word.isdigit() else word
    if name not in {"user", "daemon"} | {f"local{n}" for n in range(8)}:
        raise Remark(f"Invalid log facility '{word}'")
    values["log_facility"] = name


def umask(values: Values, argument: str | None) -> None:
    """A number in C syntax: 0x for hexadecimal, a leading 0 for octal, else decimal."""
    word = argument or ""
    base = 16 if word[:2] in {"0x", "0X"} else 8 if word.startswith("0") else 10
    try:
        mask = int(word, base)
    except ValueError:
        mask = -1
    if not 0 <= mask <= 0o777:
        raise Remark(f"Invalid --umask option {word}")
    values["umask"] = mask


VRRP = "-{} concerns VRRP, which keepalive-py does not do: `keepalived -P` can run it beside us"


def vrrp(short: str, long: str, argument: str, help_: str) -> Flag:
    return Flag(short, long, argument, f"{help_} (VRRP: no effect here)", note=VRRP.format(short))


FLAGS: tuple[Flag, ...] = (
    Flag(
        "f",
        "use-file",
        "FILE",
        f"use this configuration file (default {DEFAULT_CONFIG})",
        text("config_file"),
    ),
    Flag(
        "P",
        "vrrp",
        "",
        "only VRRP: we then serve nothing",
        set_to("serve_checkers", False),
        note=VRRP.format("P"),
    ),
    Flag("C", "check", "", "only the health checkers: always so here"),
    Flag("B", "no_bfd", "", "no BFD: BFD_CHECK stays as it starts", set_to("speak_bfd", False)),
    Flag("", "all", "", "run every part even if not configured: always so here"),
    Flag("l", "log-console", "", "log to stderr", set_to("log_console", True)),
    Flag("D", "log-detail", "", "log in detail; twice for more", more_detail),
    Flag("S", "log-facility", "FACILITY", "0-7, local0-7, user or daemon (default)", facility),
    Flag(
        "g",
        "log-file",
        "FILE",
        f"also log to FILE (default {DEFAULT_LOG_FILE})",
        text("log_file", DEFAULT_LOG_FILE),
        optional=True,
    ),
    Flag("", "flush-log-file", "", "flush the log file after each line: always so here"),
    Flag("G", "no-syslog", "", "do not log to syslog", set_to("log_syslog", False)),
    Flag("u", "umask", "MASK", "umask for files we make (a number)", umask),
    vrrp("X", "release-vips", "", "drop VIPs on a signal"),
    vrrp("V", "dont-release-vrrp", "", "keep VIPs at stop"),
    Flag("I", "dont-release-ipvs", "", "leave the IPVS table as it is at stop", set_to("keep_table", True)),
    Flag("R", "dont-respawn", "", "do not restart child processes: we have none"),
    Flag("n", "dont-fork", "", "stay in the foreground", set_to("foreground", True)),
    Flag("d", "dump-conf", "", "log the configuration as understood", set_to("dump_config", True)),
    Flag("p", "pid", "FILE", "pid file of the daemon", text("pid_file")),
    vrrp("r", "vrrp_pid", "FILE", "pid file of the VRRP process"),
    Flag("T", "genhash", "", "be genhash; must be the first option", action="genhash"),
    Flag(
        "c", "checkers_pid", "FILE", "pid file of the checkers (the same process)", text("checkers_pid_file")
    ),
    vrrp("a", "address-monitoring", "", "log address changes"),
    Flag("b", "bfd_pid", "FILE", "pid file of the BFD process: we have none"),
    Flag("x", "snmp", "", "answer SNMP: not done here", note="-x: SNMP is not answered here"),
    Flag("A", "snmp-agent-socket", "FILE", "socket of the SNMP master agent: SNMP is not answered here"),
    Flag("s", "namespace", "NAME", "run in this network namespace (overrides the file)", text("namespace")),
    Flag("m", "core-dump", "", "allow core files", set_to("core_dump", True)),
    Flag(
        "M",
        "core-dump-pattern",
        "PATTERN",
        f"also set kernel.core_pattern (default '{DEFAULT_CORE_PATTERN}')",
        text("core_pattern", DEFAULT_CORE_PATTERN),
        optional=True,
    ),
    Flag("e", "all-config", "", "a missing include file is an error", set_to("all_config", True)),
    Flag("i", "config-id", "ID", "read the lines that `@ID` selects (default: node name)", text("config_id")),
    Flag("", "signum", "NAME", "print the number of signal STOP, RELOAD, DATA, STATS, …", action="signum"),
    Flag(
        "t",
        "config-test",
        "LOG_FILE",
        "check the configuration; report on stderr or to LOG_FILE",
        config_test,
        optional=True,
    ),
    Flag("", "config-fd", "N", "internal to keepalived", hidden=True),
    Flag("", "ignore-sigint", "", "do not stop on SIGINT", set_to("ignore_sigint", True)),
    Flag("", "perf", "", "special builds of keepalived", optional=True, hidden=True),
    Flag("", "debug", "", "special builds of keepalived", optional=True, hidden=True),
    Flag("", "no-mem-check", "", "special builds of keepalived", hidden=True),
    Flag("L", "mem-check-log", "", "special builds of keepalived", hidden=True),
    Flag("v", "version", "", "show the version", action="version"),
    Flag("h", "help", "", "show this text", action="help"),
)

OWN_FLAGS: tuple[Flag, ...] = (
    Flag(
        "",
        "dataplane",
        "KIND",
        "auto (the kernel's IPVS, memory where there is none), ipvs, memory, dpvs",
        one_of("dataplane", "auto", "ipvs", "memory", "dpvs"),
    ),
    Flag(
        "", "dry-run", "", "print what would be changed in the table, change nothing", set_to("dry_run", True)
    ),
    Flag("", "extra-file", "FILE", "read our own keywords from FILE as well", text("extra_file")),
    Flag("", "template", "FILE", "make the configuration from this Jinja2 template", text("template")),
    Flag("", "values", "FILE", "values for --template, YAML or JSON", text("values")),
    Flag("", "watch", "", "reload when a file of the configuration changes", set_to("watch", True)),
    Flag("", "strict", "", "any error in the configuration refuses it", set_to("strict", True)),
    Flag(
        "",
        "max-removals",
        "PERCENT",
        "hold a reload that would remove more of the services or real servers, until it is confirmed",
        number("max_removals", 0, 100, "a number from 0 to 100"),
    ),
    Flag(
        "",
        "roll-back",
        "",
        "undo a reload of which the kernel refuses a step, and read the table back after each",
        set_to("roll_back", True),
    ),
    Flag(
        "",
        "last-good",
        "",
        "start with the last good configuration when that of the files is broken",
        set_to("last_good", True),
    ),
    Flag(
        "",
        "config-history",
        "N",
        "how many good configurations are kept in the state directory (default 10)",
        number("config_history", 1, 1000, "a number from 1 to 1000", int),
    ),
    Flag("", "log-format", "FORMAT", "text or json", one_of("log_format", "text", "json")),
    Flag("", "log-ident", "NAME", "syslog ident (default Keepalived_healthcheckers)", text("log_ident")),
    Flag("", "state-dir", "DIR", "where dump files go (default $TMPDIR or /tmp)", text("state_dir")),
    Flag(
        "",
        "state-directory",
        "DIR",
        "what is remembered over a restart (default $STATE_DIRECTORY, else nothing is)",
        text("state_directory"),
    ),
    Flag(
        "",
        "role",
        "ROLE",
        "balancer (default), or realserver: only keep the modules of the `toa` block",
        one_of("role", "balancer", "realserver"),
    ),
    Flag(
        "",
        "control",
        "PATH",
        "control socket for keepalive-ctl, or `none` (default /run/keepalive_py/control.sock)",
        text("control"),
    ),
    Flag(
        "",
        "reconcile-interval",
        "SECONDS",
        "re-read and repair the table this often (default 60; 0: only after a refusal)",
        seconds("reconcile_interval"),
    ),
)

SHORT = {flag.short: flag for flag in FLAGS if flag.short}
LONG = {flag.long: flag for flag in FLAGS + OWN_FLAGS}


def parse(words: Sequence[str]) -> CommandLine:
    """Read a command line without the program's name; raises UsageError."""
    return Reading(words).run()


class Reading:
    """One pass over the words."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.at = 0
        self.values: Values = {}
        self.result = CommandLine()
        self.left_over: list[str] = []

    def run(self) -> CommandLine:
        while self.at < len(self.words) and self.result.action == "run":
            word = self.words[self.at]
            self.at += 1
            if word == "--":
                self.left_over += self.words[self.at :]
                break
            if word.startswith("--"):
                self.long(word)
            elif word.startswith("-") and word != "-":
                self.shorts(word)
            else:
                self.left_over.append(word)
        if self.left_over and self.result.action == "run":
            self.result.remarks.append("Unexpected argument(s): " + " ".join(self.left_over))
        if self.result.action == "run" and "values" in self.values and "template" not in self.values:
            raise UsageError("--values needs --template")
        self.result.options = dataclasses.replace(self.result.options, **self.values)  # type: ignore[arg-type]
        return self.result

    def long(self, word: str) -> None:
        name, equals, attached = word[2:].partition("=")
        flag = LONG.get(name)
        if flag is None:
            close = nearest(name, LONG)
            raise UsageError(f"Unknown option --{name}" + (f": did you mean --{close}?" if close else ""))
        if equals and not flag.argument:
            raise UsageError(f"Option --{name} takes no argument")
        self.take(flag, attached if equals else None, f"--{name}")

    def shorts(self, word: str) -> None:
        position = 1
        while position < len(word) and self.result.action == "run":
            flag = SHORT.get(word[position])
            if flag is None:
                raise UsageError(f"Unknown option -{word[position]}")
            position += 1
            attached = word[position:] if flag.argument else ""
            self.take(flag, attached or None, f"-{flag.short}")
            if flag.argument:
                return

    def take(self, flag: Flag, argument: str | None, shown: str) -> None:
        if argument is None and flag.argument and not flag.optional:
            if self.at >= len(self.words):
                raise UsageError(f"Missing parameter for option {shown}")
            argument = self.words[self.at]
            self.at += 1
        if flag.note:
            self.result.remarks.append(flag.note)
        if flag.action:
            self.act(flag.action, argument)
        elif flag.effect is not None:
            try:
                flag.effect(self.values, argument)
            except Remark as remark:
                self.result.remarks.append(str(remark))

    def act(self, action: str, argument: str | None) -> None:
        self.result.action = action
        if action == "signum":
            self.result.rest = (argument or "",)
        if action == "genhash":
            if self.at > 1:
                self.result.remarks.append(
                    "Warning -- `-T` not used as first option, previous options ignored"
                )
            self.result.rest = tuple(self.words[self.at :])


def usage(program: str = "keepalive-py") -> str:
    """The text of --help."""
    lines = [f"Usage: {program} [OPTION...]"]
    lines += [describe(flag) for flag in FLAGS if not flag.hidden]
    lines += ["", "Not in keepalived:"]
    lines += [describe(flag) for flag in OWN_FLAGS]
    return "\n".join(lines)


def describe(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    argument = f"[={flag.argument}]" if flag.optional else f"={flag.argument}" if flag.argument else ""
    return f"  {short}--{flag.long + argument:<28} {flag.help}"
