"""`keepalive-ctl config explain`, `schema`, `export` and `keyword`: what settings there are, and
where those in force come from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator

from keepalive_py.checkers import REGISTRY
from keepalive_py.cli.client import json_argument, print_json
from keepalive_py.cli.commands import Command
from keepalive_py.cli.commands.config import file_arguments, options_of
from keepalive_py.cli.report import show
from keepalive_py.config.build import language
from keepalive_py.config.diagnostics import Span
from keepalive_py.config.diff import service_name
from keepalive_py.config.json_schema import as_plain, schema
from keepalive_py.config.language import Grammar
from keepalive_py.config.model import VirtualServer
from keepalive_py.config.provenance import Setting, explained
from keepalive_py.config.reference import row
from keepalive_py.config.schema import Keyword
from keepalive_py.config.spelling import nearest
from keepalive_py.daemon.loading import read, read_with_places

SERVER = "real_server "


def explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", help="such as 192.0.2.1:80, `fwmark 3`, `group web`")
    file_arguments(parser)
    parser.add_argument("--server", help="only this real server, such as 10.0.0.1:80")
    parser.add_argument("--set", action="store_true", help="without defaults")
    json_argument(parser)


def explain(given: argparse.Namespace) -> int:
    """0: explained; 1: there is no such service or server; 2: the configuration cannot be run."""
    loaded, written, place = read_with_places(options_of(given, given.file))
    if loaded.config is None:
        show(loaded.diagnostics, sys.stderr)
        return 2
    services = loaded.config.virtual_servers
    chosen = [vs for vs in services if given.service in names(vs)]
    if not chosen:
        known = [name for vs in services for name in names(vs)]
        show(loaded.diagnostics, sys.stderr)  # which may say why
        return unknown("virtual server", given.service, known, [service_name(vs) for vs in services])
    every = [each for vs in chosen for each in explained(vs, written)]
    servers = list(dict.fromkeys(map(server_of, every)))
    if given.server is not None and given.server not in servers:
        servers = [each for each in servers if each]
        return unknown("real server", given.server, servers, servers)
    settings = [each for each in every if wanted(each, given)]
    if given.json:
        print_json([setting_as_json(each, place) for each in settings])
    else:
        print("\n".join(lines(settings, place)))
    return 0


def unknown(title: str, name: str, known: list[str], shown: list[str]) -> int:
    close = nearest(name, known)
    hint = (
        f"did you mean `{close}`?"
        if close
        else f"there are {', '.join(shown)}"
        if shown
        else "there are none"
    )
    print(f"keepalive-ctl: there is no {title} `{name}`: {hint}", file=sys.stderr)
    return 1


def names(vs: VirtualServer) -> tuple[str, ...]:
    """What it may be called: with its keyword and protocol, by its head alone, as an endpoint."""
    whole = service_name(vs)
    head = whole.removeprefix("virtual_server ")
    bare = head if vs.fwmark is not None else head.rpartition(" ")[0]
    return (whole, head, bare, *((str(vs.endpoint),) if vs.endpoint is not None else ()))


def wanted(setting: Setting, given: argparse.Namespace) -> bool:
    if given.set and setting.origin == "default":
        return False
    return given.server is None or given.server == server_of(setting)


def server_of(setting: Setting) -> str:
    """Whose setting it is, such as 10.0.0.1:80; "" when it is not a real server's."""
    blocks = (each.removeprefix(SERVER) for each in setting.block if each.startswith(SERVER))
    return next(blocks, "")


def setting_as_json(setting: Setting, place: Callable[[Span], Span]) -> dict[str, object]:
    where = None if setting.where is None else place(setting.where)
    return {
        "block": list(setting.block),
        "keyword": setting.keyword,
        "value": setting.value,
        "origin": setting.origin,
        "from": setting.giver or None,
        "file": None if where is None else where.file,
        "line": None if where is None else where.line,
    }


def lines(settings: list[Setting], place: Callable[[Span], Span]) -> Iterator[str]:
    block: tuple[str, ...] = ()
    for each in settings:
        indent = "    " * (len(each.block) - 1)
        if each.block != block:
            block = each.block
            yield f"{indent}{block[-1]}"
        yield f"{indent}    {each.keyword:<28} {each.value:<24} {origin(each, place)}".rstrip()


def origin(setting: Setting, place: Callable[[Span], Span]) -> str:
    if setting.where is None:
        return setting.origin
    where = place(setting.where)
    giver = f"from {setting.giver}, " if setting.giver else ""
    return f"{giver}{where.file}:{where.line}"


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def print_schema(given: argparse.Namespace) -> int:
    print(json.dumps(schema(language(REGISTRY)), indent=2))
    return 0


def export(given: argparse.Namespace) -> int:
    """0: printed; 2: the configuration cannot be run."""
    loaded = read(options_of(given, given.file))
    show(loaded.diagnostics, sys.stderr)
    if loaded.config is None:
        return 2
    print(json.dumps(as_plain(loaded.config), indent=2))
    return 0


def keyword_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keyword", metavar="KEYWORD")


def keyword(given: argparse.Namespace) -> int:
    """0: there is one; 1: there is not."""
    found = list(uses(language(REGISTRY).top, given.keyword))
    if not found:
        close = nearest(given.keyword, list(language(REGISTRY).owners))
        hint = f": did you mean `{close}`?" if close else ""
        print(f"keepalive-ctl: `{given.keyword}` is not a keyword{hint}", file=sys.stderr)
        return 1
    for title, each in dict(found).items():
        names, value, unit, default, since, meaning, status = row(each)
        print(f"{names} in {title}\n    {meaning}")
        facts = {"value": value, "unit": unit, "default": default, "since": since, "here": status}
        print(
            "".join(f"    {name:<8} {text}\n" for name, text in facts.items() if text not in ("", "–")),
            end="",
        )
    return 0


def uses(grammar: Grammar, name: str) -> Iterator[tuple[str, Keyword]]:
    if name in grammar.keywords:
        yield grammar.title, grammar.keywords[name]
    for inner in {id(each): each for each in grammar.blocks.values()}.values():
        yield from uses(inner, name)


COMMANDS = (
    Command("config explain", "settings of a service and where they come from", explain_arguments, explain),
    Command("config schema", "the language as a JSON Schema", no_arguments, print_schema),
    Command("config export", "what is in force, as JSON that fits the schema", file_arguments, export),
    Command("config keyword", "what a keyword means", keyword_arguments, keyword),
)
