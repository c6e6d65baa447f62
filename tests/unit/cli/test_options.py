"""The command line's grammar (keepalived(8))."""

from __future__ import annotations

import pytest

from keepalive_py.cli.options import FLAGS, OWN_FLAGS, UsageError, parse, usage


def test_flags_of_one_letter_may_be_run_together_with_the_argument_at_the_end() -> None:
    options = parse(["-nlf/etc/lb.conf"]).options
    assert (options.foreground, options.log_console, options.config_file) == (True, True, "/etc/lb.conf")
    assert parse(["-nlf", "/etc/lb.conf"]).options == options
    assert parse(["--dont-fork", "--log-console", "--use-file=/etc/lb.conf"]).options == options


def test_a_later_option_wins() -> None:
    assert parse(["-f", "a", "-f", "b"]).options.config_file == "b"


def test_values_without_a_template() -> None:
    with pytest.raises(UsageError, match="--values needs --template"):
        parse(["--values", "v.yaml"])
    assert parse(["--values", "v.yaml", "--template", "t.j2"]).options.values == "v.yaml"


def test_detail_counts() -> None:
    assert parse(["-D", "-DD"]).options.log_detail == 3


def test_an_optional_argument_must_be_attached() -> None:
    assert parse(["-t/tmp/log"]).options.config_test_log == "/tmp/log"
    assert parse(["--config-test=/tmp/log"]).options.config_test_log == "/tmp/log"
    loose = parse(["-t", "/tmp/log"])
    assert loose.options.config_test
    assert loose.options.config_test_log is None
    assert loose.remarks == ["Unexpected argument(s): /tmp/log"]


def test_words_left_over_are_mentioned_and_options_after_them_still_count() -> None:
    line = parse(["one", "-n", "--", "-l"])
    assert line.remarks == ["Unexpected argument(s): one -l"]
    assert line.options.foreground
    assert not line.options.log_console


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bogus"], "Unknown option --bogus"),
        (["--vrr"], "Unknown option --vrr: did you mean --vrrp?"),
        (["-nZ"], "Unknown option -Z"),
        (["-p"], "Missing parameter for option -p"),
        (["--pid"], "Missing parameter for option --pid"),
        (["--signum"], "Missing parameter for option --signum"),
        (["--dont-fork=1"], "Option --dont-fork takes no argument"),
        (["--dataplane", "zfs"], "--dataplane must be one of auto, ipvs, memory"),
        (["--reconcile-interval", "soon"], "--reconcile-interval must be a number of seconds"),
        (["--reconcile-interval", "nan"], "--reconcile-interval must be a number of seconds"),
    ],
)
def test_a_command_line_that_cannot_be_understood(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(words)


@pytest.mark.parametrize(
    ("word", "facility"), [("3", "local3"), ("local7", "local7"), ("user", "user"), ("daemon", "daemon")]
)
def test_log_facilities(word: str, facility: str) -> None:
    assert parse(["-S", word]).options.log_facility == facility


@pytest.mark.parametrize("word", ["8", "local9", "kern", ""])
def test_a_bad_facility_is_said_and_ignored(word: str) -> None:
    line = parse(["-S", word])
    assert line.remarks == [f"Invalid log facility '{word}'"]
    assert line.options.log_facility == "daemon"


@pytest.mark.parametrize(
    ("word", "mask"), [("022", 0o22), ("0x1f", 0x1F), ("18", 18), ("0", 0), ("0777", 0o777)]
)
def test_umask_in_c_syntax(word: str, mask: int) -> None:
    assert parse(["-u", word]).options.umask == mask


@pytest.mark.parametrize("word", ["xyz", "0999", "01000", "-1"])
def test_a_bad_umask_is_said_and_ignored(word: str) -> None:
    line = parse([f"--umask={word}"])
    assert line.remarks == [f"Invalid --umask option {word}"]
    assert line.options.umask is None


def test_the_first_action_ends_the_reading() -> None:
    assert parse(["-D", "--help", "--bogus"]).action == "help"
    assert parse(["-v"]).action == "version"
    signum = parse(["--signum=RELOAD", "-Z"])
    assert (signum.action, signum.rest) == ("signum", ("RELOAD",))
    assert parse(["--signum", "STOP"]).rest == ("STOP",)


def test_genhash_takes_the_rest_of_the_line() -> None:
    line = parse(["-T", "-S", "-s", "::1"])
    assert (line.action, line.rest, line.remarks) == ("genhash", ("-S", "-s", "::1"), [])
    late = parse(["-n", "--genhash", "-h"])
    assert late.rest == ("-h",)
    assert late.remarks == ["Warning -- `-T` not used as first option, previous options ignored"]


@pytest.mark.parametrize("word", ["-X", "-V", "-a", "-r/run/v.pid", "--vrrp_pid=/run/v.pid", "-P"])
def test_vrrp_flags_are_accepted_with_a_note(word: str) -> None:
    (remark,) = parse([word]).remarks
    assert "VRRP" in remark


def test_help_names_every_flag_that_is_not_hidden() -> None:
    text = usage()
    for flag in FLAGS + OWN_FLAGS:
        assert (f"--{flag.long}" in text) is not flag.hidden
