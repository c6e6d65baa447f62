"""Which scripts run, and as whom. Messages as keepalived 2.2.7 logs them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepalive_py.config.kinds import Script
from keepalive_py.config.model import GlobalDefs
from keepalive_py.notify import security
from keepalive_py.notify.security import Account, Fate, ScriptPolicy, account, vet

ROOT = Account(0, 0)
NOBODY = Account(65534, 65534)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of other users")


def script(path: Path | str, *arguments: str, user: str | None = None) -> Script:
    return Script(argv=(str(path), *arguments), command=" ".join((str(path), *arguments)), user=user)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not pytest's own: that one nobody else may search. /tmp is sticky and thus tolerated."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def made(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(mode)
    return path


def test_a_script_is_run_by_its_real_path(directory: Path) -> None:
    target = made(directory / "real.sh")
    link = directory / "link.sh"
    link.symlink_to(target)
    vetted = vet(script(link, "a b"), ScriptPolicy(NOBODY))
    assert vetted.fate is Fate.RUNS
    assert vetted.script is not None
    assert vetted.script.argv == (str(target), "a b")
    assert vetted.script.command == f"{link} a b"


def test_use_symlink_paths_keeps_the_path_as_written(directory: Path) -> None:
    target = made(directory / "real.sh")
    link = directory / "link.sh"
    link.symlink_to(target)
    vetted = vet(script(link), ScriptPolicy(NOBODY, symlink_paths=True))
    assert vetted.script is not None
    assert vetted.script.argv == (str(link),)


def test_a_missing_script_is_disabled(directory: Path) -> None:
    vetted = vet(script(directory / "no.sh"), ScriptPolicy(ROOT))
    assert (vetted.fate, vetted.script) == (Fate.NOT_FOUND, None)
    assert vetted.remarks == (f"Script {directory}/no.sh cannot be accessed - No such file or directory",)


def test_a_script_that_cannot_be_executed_is_disabled(directory: Path) -> None:
    path = made(directory / "x.sh", 0o644)
    vetted = vet(script(path), ScriptPolicy(ROOT))
    assert vetted.fate is Fate.NOT_EXECUTABLE
    assert vetted.remarks == (f"WARNING - script '{path}' is not executable for uid:gid 0:0 - disabling.",)


@needs_root
def test_a_directory_that_the_user_may_not_search_disables_the_script(directory: Path) -> None:
    inner = directory / "inner"
    inner.mkdir(0o700)
    path = made(inner / "x.sh")
    assert vet(script(path), ScriptPolicy(NOBODY)).fate is Fate.NOT_EXECUTABLE
    assert vet(script(path), ScriptPolicy(ROOT)).fate is Fate.RUNS


def test_a_directory_is_no_script(directory: Path) -> None:
    vetted = vet(script(directory), ScriptPolicy(ROOT))
    assert vetted.fate is Fate.REFUSED
    assert vetted.remarks == (f"Wrong file type found in script path '{directory}'.",)


def test_a_bare_name_is_searched_in_path(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(directory / "tell-them")
    monkeypatch.setenv("PATH", f"/nonexistent:{directory}")
    vetted = vet(script("tell-them"), ScriptPolicy(NOBODY))
    assert vetted.script is not None
    assert vetted.script.argv == (str(path),)
    assert vetted.remarks == (
        f"WARNING - script `tell-them` resolved by path search to `{path}`. Please specify full path.",
    )
    assert vet(script("nosuchcmd"), ScriptPolicy(NOBODY)).remarks == (
        "Cannot find script nosuchcmd in path - disabling",
    )


def world_writable(directory: Path) -> Path:
    return made(directory / "x.sh", 0o777)


def group_writable(directory: Path) -> Path:
    path = made(directory / "x.sh", 0o775)
    os.chown(path, 0, 1)
    return path


def somebody_elses(directory: Path) -> Path:
    path = made(directory / "x.sh")
    os.chown(path, 65534, 65534)
    return path


def in_a_world_writable_directory(directory: Path) -> Path:
    (directory / "d").mkdir()
    (directory / "d").chmod(0o777)
    return made(directory / "d" / "x.sh")


def through_a_link_that_others_may_replace(directory: Path) -> Path:
    made(directory / "real.sh")
    (directory / "d").mkdir()
    (directory / "d").chmod(0o777)
    (directory / "d" / "x.sh").symlink_to(directory / "real.sh")
    return directory / "d" / "x.sh"


UNSAFE = [
    world_writable,
    group_writable,
    somebody_elses,
    in_a_world_writable_directory,
    through_a_link_that_others_may_replace,
]


@needs_root
@pytest.mark.parametrize("make", UNSAFE)
def test_what_others_can_change_is_not_run_as_root_with_script_security(make, directory: Path) -> None:  # type: ignore[no-untyped-def]
    path = make(directory)
    vetted = vet(script(path), ScriptPolicy(ROOT, enforce=True))
    assert (vetted.fate, vetted.script) == (Fate.REFUSED, None)
    assert vetted.remarks == (f"Unsafe permissions found for script '{path}' - disabling.",)


@needs_root
@pytest.mark.parametrize("make", UNSAFE)
def test_without_script_security_it_is_only_named(make, directory: Path) -> None:  # type: ignore[no-untyped-def]
    path = make(directory)
    vetted = vet(script(path), ScriptPolicy(ROOT))
    assert vetted.fate is Fate.INSECURE
    assert vetted.script is not None
    assert vetted.remarks == (f"Unsafe permissions found for script '{path}'.",)


@needs_root
@pytest.mark.parametrize("make", UNSAFE)
def test_what_does_not_run_as_root_is_not_judged(make, directory: Path) -> None:  # type: ignore[no-untyped-def]
    assert vet(script(make(directory)), ScriptPolicy(NOBODY, enforce=True)).fate is Fate.RUNS


@needs_root
def test_a_set_user_id_script_of_root_is_judged_for_any_user(directory: Path) -> None:
    inner = directory / "d"
    inner.mkdir()
    path = made(inner / "x.sh", 0o4755)
    inner.chmod(0o777)
    assert vet(script(path), ScriptPolicy(NOBODY, enforce=True)).fate is Fate.REFUSED


@needs_root
def test_a_root_owned_symlinked_directory_is_fine(directory: Path) -> None:
    """Such as /bin on a merged-/usr system."""
    (directory / "usr").mkdir()
    made(directory / "usr" / "x.sh")
    (directory / "bin").symlink_to("usr")
    assert vet(script(directory / "bin" / "x.sh"), ScriptPolicy(ROOT, enforce=True)).fate is Fate.RUNS


def test_a_redirection_is_for_a_shell() -> None:
    vetted = vet(script("</run/flag"), ScriptPolicy(NOBODY))
    assert vetted.script is not None
    assert vetted.script.argv == ("/bin/sh", "-c", "</run/flag")


def test_a_user_that_does_not_exist() -> None:
    vetted = vet(script("/bin/sh", user="nosuch"), ScriptPolicy(ROOT))
    assert (vetted.fate, vetted.script) == (Fate.NO_USER, None)


def no_such_user(name: str, group: str | None = None, *, supplementary: bool = False) -> Account:
    raise KeyError(name)


def test_the_daemon_s_own_user_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "account", no_such_user)
    policy = ScriptPolicy.of(GlobalDefs())
    assert policy.default == security.daemon_account()
    assert policy.remarks == ("Script user 'keepalived_script' does not exist",)


@pytest.mark.parametrize(
    "settings", [GlobalDefs(enable_script_security=True), GlobalDefs(script_user="nosuch")]
)
def test_with_script_security_or_a_wrong_script_user_there_is_no_last_resort(
    settings: GlobalDefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "account", no_such_user)
    policy = ScriptPolicy.of(settings)
    assert policy.default is None
    assert vet(script("/bin/sh"), policy).fate is Fate.NO_USER


def test_accounts_by_name_and_number() -> None:
    assert account("root") == ROOT
    assert account("0", "0") == ROOT
    assert account("nobody", "root").gid == 0
    assert 0 in account("root", ":root").groups
    with pytest.raises(LookupError):
        account("nobody", "nosuchgroup")
