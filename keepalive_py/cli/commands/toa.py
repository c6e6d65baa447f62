"""`keepalive-ctl toa …`: the modules that give this host the client's address behind FULLNAT.

What is wanted comes from the `toa` block of the configuration; a module that is named and not in it
counts as wanted with what the command line says. It works without the daemon.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from keepalive_py.cli.commands import Command
from keepalive_py.cli.commands.config import options_of, reading_arguments
from keepalive_py.config.bgp_announcer import STATE_DIRECTORY
from keepalive_py.config.toa import FLAVOURS, LAYOUT_NAMES, Parameter, Source, SourceKind, Toa, ToaModule
from keepalive_py.daemon.loading import read
from keepalive_py.daemon.options import DEFAULT_CONFIG
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.dataplane.namespace import run_in_new
from keepalive_py.errors import KeepaliveError
from keepalive_py.health.fitness import Standing
from keepalive_py.toa import kernel, persistence
from keepalive_py.toa.flavours import Wanted, wanted
from keepalive_py.toa.loading import Loader
from keepalive_py.toa.memory import LoadedByUs
from keepalive_py.toa.refusals import ModuleRefused
from keepalive_py.toa.state import ModuleState, look
from keepalive_py.toa.verdict import Verdict
from keepalive_py.toa.verify import verify

DEFAULT: Final = ToaModule(name="toa")
EXIT_OK, EXIT_NO, EXIT_UNTRIED = 0, 1, 2


# Arguments.


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="default: those of the `toa` block")
    parser.add_argument("-f", "--config", default=DEFAULT_CONFIG, help=f"default {DEFAULT_CONFIG}")
    reading_arguments(parser)
    parser.add_argument(
        "--state-directory",
        default=os.environ.get("STATE_DIRECTORY", "").split(":")[0] or STATE_DIRECTORY,
        help=f"where it is remembered what we loaded (default {STATE_DIRECTORY})",
    )
    parser.add_argument("--flavour", choices=FLAVOURS, help="whose module it is, if not configured")


def showing_arguments(parser: argparse.ArgumentParser) -> None:
    arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    showing_arguments(parser)
    parser.add_argument(
        "--layout", action="append", choices=(*LAYOUT_NAMES, "all"), help="instead of those of the flavour"
    )


def load_arguments(parser: argparse.ArgumentParser) -> None:
    arguments(parser)
    parser.add_argument("--file", help="load this .ko, if not configured")
    parser.add_argument(
        "--parameter", action="append", type=_parameter, default=[], metavar="NAME=VALUE", help="likewise"
    )
    parser.add_argument("--reload", action="store_true", help="unload it first, if we loaded it")


def persist_arguments(parser: argparse.ArgumentParser) -> None:
    arguments(parser)
    parser.add_argument(
        "--etc", default="/etc", help="where modules-load.d and modprobe.d are (default /etc)"
    )
    parser.add_argument("--remove", action="store_true", help="take our files away")


def _parameter(text: str) -> Parameter:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"`{text}` is no NAME=VALUE")
    return Parameter(name, value)


# What is wanted.


def modules_of(given: argparse.Namespace) -> list[ToaModule]:
    """Those that are named, else those of the block, else a plain `toa`."""
    configured = {module.name: module for module in _configured(given)}
    names = [name.replace("-", "_") for name in given.modules]
    chosen = [configured.get(name) or ToaModule(name=name) for name in names] or [*configured.values()]
    return [_with_arguments(given, module) for module in chosen or [DEFAULT]]


def _configured(given: argparse.Namespace) -> tuple[ToaModule, ...]:
    if given.config == DEFAULT_CONFIG and not os.path.exists(DEFAULT_CONFIG):
        return ()
    loaded = read(options_of(given, given.config))
    if loaded.config is None:
        raise KeepaliveError(f"{given.config} cannot be read (keepalive-ctl config check says why)")
    blocks = [each for each in loaded.config.extensions.get("toa", ()) if isinstance(each, Toa)]
    return blocks[0].modules if blocks else ()


def _with_arguments(given: argparse.Namespace, module: ToaModule) -> ToaModule:
    changes: dict[str, object] = {}
    if given.flavour:
        changes["flavour"] = given.flavour
    if getattr(given, "file", None):
        changes["module_source"] = Source(SourceKind.FILE, os.path.abspath(given.file))
    if getattr(given, "parameter", None):
        changes["parameters"] = tuple(given.parameter)
    layouts = getattr(given, "layout", None)
    if layouts:
        changes["layouts"] = LAYOUT_NAMES if "all" in layouts else tuple(layouts)
    return dataclasses.replace(module, **changes)  # type: ignore[arg-type]


def ours_of(given: argparse.Namespace) -> LoadedByUs:
    return LoadedByUs(StateDirectory(given.state_directory, _say), kernel.boot_id())


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def told(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run(given: argparse.Namespace) -> int:
        try:
            return work(given)
        except (KeepaliveError, OSError) as error:
            _say(str(error))
            return EXIT_NO

    return run


# Commands.


def status(given: argparse.Namespace) -> int:
    """0: all required ones are loaded."""
    states = [look(wanted(module), ours_of(given)) for module in modules_of(given)]
    _show(given, states, _status_lines)
    missing = any(each.loaded is None and not each.wanted.config.optional for each in states)
    return EXIT_NO if missing or any(each.trouble for each in states) else EXIT_OK


def load(given: argparse.Namespace) -> int:
    loader, failed = Loader(ours_of(given)), False
    for module in modules_of(given):
        try:
            fresh = loader.load(module, reload=given.reload)
        except ModuleRefused as refused:
            _say(str(refused))
            failed = failed or not module.optional
        else:
            print(f"module {module.name}: {'loaded' if fresh else 'it is loaded already'}")
    return EXIT_NO if failed else EXIT_OK


def unload(given: argparse.Namespace) -> int:
    loader, failed = Loader(ours_of(given)), False
    for module in modules_of(given):
        try:
            loader.unload(module.name)
        except ModuleRefused as refused:
            _say(str(refused))
            failed = True
        else:
            print(f"module {module.name}: unloaded")
    return EXIT_NO if failed else EXIT_OK


def verified(given: argparse.Namespace) -> int:
    """0: all work; 1: one does not; 2: it could not be tried."""
    ours = ours_of(given)
    states = [proven(wanted(module), ours) for module in modules_of(given)]
    _show(given, states, _verify_lines)
    standings = [each.standing for each in states if not each.wanted.config.optional]
    if Standing.NO in standings and not all(_untried(each) for each in states):
        return EXIT_NO
    return EXIT_UNTRIED if any(_untried(each) for each in states) else EXIT_OK


def proven(module: Wanted, ours: LoadedByUs) -> ModuleState:
    seen = look(module, ours)
    results = verify(module.layouts, run_in_new, loaded=seen.loaded is not None)
    return dataclasses.replace(look(module, ours), results=tuple(results))


def _untried(state: ModuleState) -> bool:
    return any(result.verdict is Verdict.UNTRIED for result in state.results or ())


def stats(given: argparse.Namespace) -> int:
    states = [look(wanted(module), ours_of(given)) for module in modules_of(given)]
    _show(given, states, _counter_lines)
    return EXIT_OK if any(each.counters for each in states) else EXIT_NO


def persist(given: argparse.Namespace) -> int:
    content = persistence.files([] if given.remove else modules_of(given))
    for line in persistence.write(content, Path(given.etc)) or ["nothing to change"]:
        print(line)
    return EXIT_OK


# Showing.


def _show(
    given: argparse.Namespace, states: list[ModuleState], lines: Callable[[ModuleState], Iterable[str]]
) -> None:
    if given.json:
        print(json.dumps([each.as_row() for each in states], indent=2))
    else:
        print("\n".join(line for each in states for line in lines(each)))


def _status_lines(state: ModuleState) -> Iterator[str]:
    yield f"{state.name} ({state.wanted.flavour.name}): {state.word()}"
    loaded = state.loaded
    if loaded is not None:
        by = "by us" if state.ours else "by somebody else"
        version = f"version {loaded.version or 'not told'}, srcversion {loaded.srcversion or 'not told'}"
        yield f"  loaded {by}; {version}; {', '.join(loaded.taints()) or 'no taint'}; {loaded.users} users"
        for name, value in loaded.parameters.items():
            yield f"  {name}={'(not readable)' if value is None else value}"
    if state.trouble:
        yield f"  WRONG: {state.trouble}"


def _verify_lines(state: ModuleState) -> Iterator[str]:
    yield f"{state.name} ({state.wanted.flavour.name}): {state.word()}"
    if not state.wanted.layouts:
        yield "  nothing that a handshake could prove (docs/toa.md)"
    for result in state.results or ():
        yield f"  {result}"
        if result.verdict is Verdict.WORKS:
            alone = ", ".join(place.value for place in result.places) or "none alone"
            yield f"    read from: {alone}"


def _counter_lines(state: ModuleState) -> Iterator[str]:
    if not state.counters:
        yield f"{state.name}: no counters in {state.wanted.statistics or 'any file'}"
        return
    yield f"{state.name} ({state.wanted.statistics})"
    for counter in state.counters.values():
        processors = " ".join(f"{number:>10}" for number in counter.processors)
        yield f"  {counter.name:<24} {counter.total:>12}  {processors}"


COMMANDS = (
    Command("toa status", "which modules are loaded, and how", showing_arguments, told(status)),
    Command("toa load", "load the modules", load_arguments, told(load)),
    Command("toa unload", "take out a module that we loaded", arguments, told(unload)),
    Command("toa verify", "prove by a handshake that they work", verify_arguments, told(verified)),
    Command("toa stats", "what the modules have counted", showing_arguments, told(stats)),
    Command("toa persist", "have them loaded at boot", persist_arguments, told(persist)),
)
