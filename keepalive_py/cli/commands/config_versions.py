"""`keepalive-ctl config status|apply|history|show|rollback`: the running configuration and the
ones before it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from keepalive_py.cli.client import Client, NotAnswered, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command
from keepalive_py.daemon.generations import Generations
from keepalive_py.daemon.state_directory import StateDirectory

Json = dict[str, Any]

EXIT_REFUSED, EXIT_HELD = 1, 3


def answer_arguments(parser: argparse.ArgumentParser) -> None:
    control_argument(parser)
    json_argument(parser)


def status(client: Client, given: argparse.Namespace) -> int:
    """0: the files' configuration runs; 1: one was refused, or an older one runs; 3: one is held."""
    return answered(client.get("/v1/config"), given)


def answered(found: Json, given: argparse.Namespace) -> int:
    if given.json:
        print_json(found)
    else:
        print("\n".join(status_lines(found)))
    if found["held"]:
        return EXIT_HELD
    refused = found["refused"] or found["instead_of_files"] or not found.get("finished", True)
    return EXIT_REFUSED if refused else 0


def status_lines(found: Json) -> Iterator[str]:
    number = f"generation {found['generation']}, " if found["generation"] is not None else ""
    yield f"runs       {number}digest {found['digest']}, since {moment(found['since'])}"
    yield f"from       {found['file'] if found['origin'] == 'files' else found['origin']}"
    if found["instead_of_files"]:
        yield f"           not that of the files: {found['instead_of_files']}"
    if found["refused"]:
        yield from refusal_lines(found)
    if not found.get("finished", True):
        yield "the reload is still under way"


def refusal_lines(found: Json) -> Iterator[str]:
    refusal = found["refused"]
    title = "held" if found["held"] else "refused"
    yield f"{title:<10} digest {refusal['digest']}, {moment(refusal['at'])}:"
    yield f"           {refusal['why']}"
    for each in refusal["diagnostics"]:
        where = each["where"]
        place = f"{where['file']}:{where['line']}:{where['column']}: " if where else ""
        yield f"  {place}{each['severity']}[{each['code']}]: {each['summary']}"


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def apply_arguments(parser: argparse.ArgumentParser) -> None:
    answer_arguments(parser)
    parser.add_argument("--confirm", action="store_true", help="let pass what is held back")
    parser.add_argument("--preview", action="store_true", help="only say what would change")


def apply(client: Client, given: argparse.Namespace) -> int:
    """0: applied; 1: refused; 3: held back until it is confirmed."""
    if given.preview:
        return previewed(client.get("/v1/config/preview"), given)
    return answered(client.post("/v1/config/apply", confirm=given.confirm), given)


def previewed(found: Json, given: argparse.Namespace) -> int:
    if given.json:
        print_json(found)
    else:
        for line in found["changes"]:
            print(line)
        if found["refused"] or found["held"]:
            print(f"it would be {'refused: ' + found['refused'] if found['refused'] else 'held back'}")
    return EXIT_REFUSED if found["refused"] else EXIT_HELD if found["held"] else 0


def kept_arguments(parser: argparse.ArgumentParser) -> None:
    answer_arguments(parser)
    parser.add_argument(
        "--state-directory", metavar="DIR", help="look there instead of asking the daemon, when none runs"
    )


def history(client: Client, given: argparse.Namespace) -> int:
    if given.state_directory is None:
        found = client.get("/v1/config/history")
    else:
        found = [each.as_json() for each in kept_in(given.state_directory).all()]
    if given.json:
        print_json(found)
    for each in () if given.json else found:
        print(history_line(each))
    return 0


def history_line(each: Json) -> str:
    counts = f"{each['services']} services, {each['servers']} servers"
    origin = "" if each["origin"] == "files" else f"  as {each['origin']}"
    return f"{each['number']:>5}  {moment(each['since'])}  {each['digest']}  {counts}{origin}"


def kept_in(directory: str) -> Generations:
    """Raises NotAnswered: a name that is misspelt is no daemon without generations."""
    try:
        os.listdir(directory)
    except OSError as error:
        raise NotAnswered(f"{directory}: {error.strerror}") from None
    return Generations(StateDirectory(directory, lambda text: print(text, file=sys.stderr)))


def show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", type=int)
    kept_arguments(parser)
    parser.add_argument("--to", metavar="DIR", help="write the files below DIR, by their whole paths")


def show(client: Client, given: argparse.Namespace) -> int:
    found = texts_of(client, given)
    if found is None:
        print(f"keepalive-ctl: there is no generation {given.generation}", file=sys.stderr)
        return 1
    if given.to is not None:
        return written(found["texts"], given.to)
    if given.json:
        print_json(found)
        return 0
    for path, text in found["texts"].items():
        print(f"# {path}\n{text}", end="" if text.endswith("\n") else "\n")
    return 0


def texts_of(client: Client, given: argparse.Namespace) -> Json | None:
    if given.state_directory is None:
        found: Json = client.get(f"/v1/config/history/{given.generation}")
        return found
    generations = kept_in(given.state_directory)
    generation, capture = generations.find(given.generation), generations.texts(given.generation)
    if generation is None or capture is None:
        return None
    return {**asdict(generation), **capture.as_json()}


def written(texts: dict[str, str], directory: str) -> int:
    """Each file below `directory`, under its whole path. What is there already stays."""
    for path, text in texts.items():
        place = os.path.join(directory, os.path.abspath(path).lstrip("/"))
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            print(f"keepalive-ctl: {place}: {error.strerror}", file=sys.stderr)
            return 1
        print(place)
    return 0


def rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", type=int)
    answer_arguments(parser)


def rollback(client: Client, given: argparse.Namespace) -> int:
    """0: that generation runs."""
    found = client.post("/v1/config/rollback", generation=given.generation)
    answered(found, given)
    return 0 if found["finished"] and not found["refused"] else EXIT_REFUSED


COMMANDS = (
    Command("config status", "what runs, and what was refused or is held", answer_arguments, asking(status)),
    Command("config apply", "reload, and say what came of it", apply_arguments, asking(apply)),
    Command("config history", "the last good configurations", kept_arguments, asking(history)),
    Command("config show", "the files of a generation", show_arguments, asking(show)),
    Command("config rollback", "run a generation instead of the files", rollback_arguments, asking(rollback)),
)
