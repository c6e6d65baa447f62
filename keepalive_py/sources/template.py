"""A configuration's text out of a Jinja2 template and values.

A name that is not defined is an error, never an empty string. Templates run in Jinja2's sandbox:
they see the values, `node` (the name that `@ID` lines are compared with) and Jinja2's own filters,
and can include templates from the directory of the first one, and no others.

What is wrong in the rendered text is told at the line of the template that made it. To know that
line the template is rendered a second time with a mark at the beginning of every piece of output;
where the marks themselves would change the outcome (a template that compares what it made), the
line of the rendered text is told alone.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jinja2
import yaml
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from keepalive_py.config.diagnostics import Diagnostic, ExitClass, Origin, Severity, Span
from keepalive_py.config.render import SourceLines
from keepalive_py.config.source import SourceProblem
from keepalive_py.sources.files import FileSystem, content_of

__all__ = ["Rendered", "TemplateTrouble", "rendered"]

SUFFIXES: Final = (".j2", ".jinja2", ".jinja")
LARGEST: Final = 64 * 1024 * 1024  # characters
PATIENCE: Final = 20.0  # seconds for one rendering; more is a loop that does not end
BEGIN, END = "\ue000", "\ue001"  # around a mark; of the private use area, so of nobody's text
MARK: Final = re.compile(f"{BEGIN}([0-9]+),([0-9]+){END}")

Place = tuple[str, int]  # a file and a line of it


class TemplateTrouble(Exception):
    """The template or its values are no good; with the place, where it is known."""

    def __init__(self, summary: str, file: str, line: int | None = None, column: int = 1) -> None:
        super().__init__(summary)
        self.summary = summary
        self.file = file
        self.line = line
        self.column = column

    def diagnostic(self) -> Diagnostic:
        span = None if self.line is None else Span(Origin(self.file), self.line, self.column, self.column + 1)
        summary = self.summary if span is not None else f"{self.file}: {self.summary}"
        return Diagnostic(Severity.ERROR, "template", summary, subject=span, exit_class=ExitClass.GENERAL)


@dataclass(slots=True)
class Rendered:
    """A source in which `main` is the rendered text and all else is the file system. `files` are
    what it was made from; `trouble`: why it could not be."""

    main: str
    text: str = ""
    files: tuple[str, ...] = ()
    trouble: Diagnostic | None = None
    places: list[Place | None] = field(default_factory=list)
    _files: FileSystem = field(default_factory=FileSystem)
    _lines: SourceLines = field(default_factory=lambda: SourceLines(FileSystem()))

    def read(self, path: str) -> bytes | SourceProblem:
        return self.text.encode("utf-8", "surrogateescape") if path == self.main else self._files.read(path)

    def glob(self, pattern: str) -> list[str]:
        return self._files.glob(pattern)

    def mapped(self, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """With the lines of the template in place of those of the rendered text."""
        return tuple(map(self._mapped, diagnostics))

    def _mapped(self, diagnostic: Diagnostic) -> Diagnostic:
        subject = diagnostic.subject
        if subject is None:
            return diagnostic
        notes = diagnostic.notes
        if subject.file == self.main:
            notes = (*notes, f"line {subject.line} of the rendered text: {self._line(subject.line).strip()}")
        context = None if diagnostic.context is None else self.place(diagnostic.context)
        return replace(diagnostic, subject=self.place(subject), context=context, notes=notes)

    def place(self, span: Span) -> Span:
        """Where in the template it comes from."""
        outer = span.origin.included_from
        if outer is not None:
            return replace(span, origin=Origin(span.file, self.place(outer)))
        if span.file != self.main:
            return span
        found = self.places[span.line - 1] if 0 < span.line <= len(self.places) else None
        if found is None:
            return replace(span, origin=Origin(f"{self.main} (rendered)"))
        return self._whole_line(*found)

    def _whole_line(self, file: str, number: int) -> Span:
        """Without the blanks around it."""
        text = self._lines.line(file, number) or ""
        start = len(text) - len(text.lstrip())
        return Span(Origin(file), number, start + 1, max(len(text.rstrip()), start) + 1)

    def _line(self, number: int) -> str:
        lines = self.text.split("\n")
        return lines[number - 1] if 0 < number <= len(lines) else ""


def rendered(template: str, values: str | None, node: str) -> Rendered:
    """Never raises for a mistake of the operator: it is in `trouble`."""
    workshop = _Workshop(template)
    result = Rendered(name_of(template), files=(template,))
    try:
        given = {**values_of(values), "node": node}
        result.text = workshop.run(given)
        result.places = workshop.places(given, result.text)
        _judge_characters(result)
    except TemplateTrouble as trouble:
        result.text, result.trouble = "", trouble.diagnostic()
    result.files = tuple(dict.fromkeys([template, *workshop.files, *([values] if values else [])]))
    return result


def _judge_characters(made: Rendered) -> None:
    """Raises TemplateTrouble for a lone surrogate, which an escape in a string can make."""
    try:
        made.text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        line = made.text.count("\n", 0, error.start)
        file, number = (made.places[line] if line < len(made.places) else None) or (made.files[0], None)
        summary = f"makes U+{ord(made.text[error.start]):04X}, which is no character"
        raise TemplateTrouble(summary, file, number) from None


def name_of(template: str) -> str:
    """What the rendered text is called: it stands beside the template, for its includes."""
    for suffix in SUFFIXES:
        if template.endswith(suffix):
            return template.removesuffix(suffix)
    return f"{template}.rendered"


# Values


def values_of(path: str | None) -> dict[str, Any]:
    """What a JSON (*.json) or YAML file holds. Raises TemplateTrouble."""
    if path is None:
        return {}
    text = _text_of(path)
    found = _json(text, path) if path.endswith(".json") else _yaml(text, path)
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise TemplateTrouble("values must be names with their values", path, 1)
    return found


def _text_of(path: str) -> str:
    try:
        return content_of(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateTrouble(_unread(error), path) from None


def _unread(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is not UTF-8 at byte {error.start}"


def _json(text: str, path: str) -> Any:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            _yaml(text, path)  # whose reader knows the line, and reads JSON too
            raise TemplateTrouble(f"`{twice}` is there twice", path)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        raise TemplateTrouble(f"is not JSON: {error.msg}", path, error.lineno, error.colno) from None
    except ValueError as error:  # an integer that is too long
        raise TemplateTrouble(f"is not JSON: {error}", path) from None
    except RecursionError:
        raise TemplateTrouble("is nested too deeply", path) from None


def _yaml(text: str, path: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (None, 1)
        said = error.problem or error.context
        summary = f"{said}" if isinstance(error, _WrongValue) else f"is not YAML: {said}"
        raise TemplateTrouble(summary, path, line, column) from None
    except yaml.YAMLError as error:
        raise TemplateTrouble(f"is not YAML: {error}", path) from None
    except RecursionError:
        raise TemplateTrouble("is nested too deeply", path) from None


class _WrongValue(yaml.constructor.ConstructorError):
    """It is YAML, and still nothing that can be meant."""


class _Loader(yaml.SafeLoader):
    """A name that is there twice is a mistake, not the last one."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # What the readers of dates, numbers and so on raise of what only looks like one.
            kind = node.tag.rpartition(":")[2]
            raise _WrongValue(None, None, f"this is no {kind}", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise _WrongValue(None, None, f"`{key.value}` is there twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


# Rendering


class _Workshop:
    """A template with those that it includes. `files` are what was read."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.files: list[str] = []
        self.plain = _Environment(self)
        self.marked = _MarkedEnvironment(self)

    def run(self, values: Mapping[str, Any], environment: _Environment | None = None) -> str:
        """Raises TemplateTrouble."""
        environment = environment or self.plain
        environment.end = time.monotonic() + PATIENCE
        try:
            made = environment.get_template(os.path.basename(self.template))
            return _limited(made.generate(values), self.template)
        except jinja2.TemplateNotFound as error:
            if error.name:  # it may appear: it is watched
                self.files.append(os.path.join(os.path.dirname(self.template), error.name))
            raise TemplateTrouble(f"there is no template {error.name}", *self.place_of(error)) from None
        except jinja2.TemplateSyntaxError as error:
            file = error.filename or self.template
            raise TemplateTrouble(error.message or "is no template", file, error.lineno) from None
        except RecursionError:
            raise TemplateTrouble("is nested too deeply", self.template) from None
        except TemplateTrouble:
            raise
        except Exception as error:  # whatever an expression of the template raises
            file, line = self.place_of(error)
            raise TemplateTrouble(_words(error), file, line) from None

    def place_of(self, error: BaseException) -> tuple[str, int | None]:
        """Jinja2 puts the lines of templates into the traceback."""
        found: tuple[str, int | None] = (self.template, None)
        trace = error.__traceback__
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name in self.files:
                found = (name, trace.tb_lineno)
            trace = trace.tb_next
        return found

    def places(self, values: Mapping[str, Any], text: str) -> list[Place | None]:
        """For each line of `text` where it comes from; nothing when that cannot be known."""
        try:
            marked = self.run(values, self.marked)
        except TemplateTrouble:
            return []
        if MARK.sub("", marked) != text:
            return []
        return list(_places(marked, self.marked.names))


def _words(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateError):
        return error.message or "cannot be rendered"
    return f"{type(error).__name__}: {error}"


def _limited(pieces: Iterator[str], file: str) -> str:
    found: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST:
            raise TemplateTrouble(f"makes more than {LARGEST // 1024 // 1024} MB of text", file)
        found.append(piece)
    return "".join(found)


def _places(marked: str, names: list[str]) -> Iterator[Place | None]:
    """Of each line the mark of the first piece that is not blank; else the first; else the last
    of the lines before, which a value of several lines continues."""
    last: Place | None = None
    for line in marked.split("\n"):
        parts = MARK.split(line)  # text, name, line, text, name, line, text ...
        marks = [(names[int(parts[at])], int(parts[at + 1])) for at in range(1, len(parts), 3)]
        shown = [mark for mark, text in zip(marks, parts[3::3], strict=True) if text.strip()]
        yield last if parts[0].strip() else next(iter(shown or marks), last)
        last = marks[-1] if marks else last


class _Loading(jinja2.FileSystemLoader):
    """Notes what was read, and what was looked for: it may appear."""

    def __init__(self, workshop: _Workshop) -> None:
        super().__init__(os.path.dirname(workshop.template) or ".")
        self.workshop = workshop

    def get_source(self, environment: jinja2.Environment, template: str) -> Any:
        try:
            found = super().get_source(environment, template)
        except jinja2.TemplateNotFound:  # an OSError too
            raise
        except (OSError, UnicodeDecodeError) as error:
            path = os.path.normpath(os.path.join(self.searchpath[0], template))
            self.workshop.files.append(path)
            raise TemplateTrouble(_unread(error), path) from None
        if found[1] not in self.workshop.files:
            self.workshop.files.append(found[1])
        return found


class _Environment(ImmutableSandboxedEnvironment):
    def __init__(self, workshop: _Workshop) -> None:
        super().__init__(
            loader=_Loading(workshop),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=0,
        )
        self.end = math.inf  # when rendering is given up, in seconds of `time.monotonic`

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """With a look at the clock in each turn of a loop and each call of a macro: nothing else
        can end a thread that renders."""
        tree = super()._parse(source, name, filename)
        repeated: list[nodes.For | nodes.Macro] = [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro)]
        for each in repeated:
            turn = nodes.Call(nodes.EnvironmentAttribute("turn"), [], [], None, None)
            each.body.insert(0, nodes.ExprStmt(turn, lineno=each.lineno))
        return tree

    def turn(self) -> None:
        if time.monotonic() > self.end:
            raise jinja2.TemplateRuntimeError(f"takes more than {PATIENCE:g} s")


class _MarkedEnvironment(_Environment):
    """One whose output says where it comes from."""

    def __init__(self, workshop: _Workshop) -> None:
        super().__init__(workshop)
        self.names: list[str] = []

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        self.names.append(filename or name or "")
        for output in tree.find_all(nodes.Output):
            output.nodes = [part for node in output.nodes for part in self._with_marks(node)]
        return tree

    def _with_marks(self, node: nodes.Expr) -> Iterator[nodes.Expr]:
        mark, line = len(self.names) - 1, node.lineno
        if not isinstance(node, nodes.TemplateData):
            yield nodes.TemplateData(f"{BEGIN}{mark},{line}{END}", lineno=line)
            yield node
            return
        lines = node.data.split("\n")
        marks = (f"{BEGIN}{mark},{line + at}{END}{text}" for at, text in enumerate(lines))
        yield nodes.TemplateData("\n".join(marks), lineno=line)
