"""The canonical layout of a configuration text. Pure.

Works on physical lines, so comments, definitions, conditions and includes stay where they
are and as they are written. It sets the indentation, puts `{` at the end of its keyword's
line, keeps one blank line between top-level blocks and drops needless ones. What the text
means never changes: the logical lines before and after are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from keepalive_py.config.lexer import BLANKS, PLAIN, Text, uncomment
from keepalive_py.config.preprocess import LONGEST_LINE

__all__ = ["format_text"]


@dataclass(frozen=True, slots=True)
class _Line:
    """A physical line. `text` has no outer blanks unless `fixed`; a blank line has none at
    all. `depth` is how deep its first word stands, `before` and `after` how many blocks are
    open around it. `head` is a plain keyword line that can take a brace."""

    text: str
    original: str
    depth: int
    before: int
    after: int
    fixed: bool = False
    comment: bool = False
    head: bool = False
    block: bool = False  # it opens a block, which may end on the same line

    @property
    def blank(self) -> bool:
        return not self.text and not self.fixed


def format_text(text: str, indent: str = "    ") -> str:
    """`text` in canonical layout. Formatting twice is formatting once."""
    lines = _spaced(_braces_joined(_parsed(text.removesuffix("\n").split("\n")), indent))
    laid_out = [_laid_out(line, indent) for line in lines]
    return "\n".join([*laid_out, ""]) if laid_out else ""


def _laid_out(line: _Line, indent: str) -> str:
    if line.fixed or not line.text:
        return line.text
    laid_out = indent * line.depth + line.text
    return laid_out if _fits(laid_out) else line.original


def _fits(line: str) -> bool:
    return len(line.encode("utf-8", "surrogateescape")) <= LONGEST_LINE


# Reading


def _parsed(physical: list[str]) -> Iterator[_Line]:
    depth = 0
    conditions = _Conditions()
    lines = iter(physical)
    for original in lines:
        original = original.rstrip("\r")
        text = original.strip(BLANKS)
        if "\0" in original or not _fits(original):
            yield _Line(original, original, depth, depth, depth, fixed=True)
        elif not text or text[0] in "#!":
            yield _Line(text, original, depth, depth, depth, comment=bool(text))
        elif _may_define_lines(original):
            for each in (original, *_further_lines(lines)):
                yield _Line(each, each, depth, depth, depth, fixed=True)
        else:
            line = conditions.settled(_code(text, original, depth))
            yield line
            depth = line.after


def _may_define_lines(line: str) -> bool:
    """Whether a definition of several lines may begin here; when in doubt, yes."""
    if "$" not in line:
        return False
    return line.rstrip(BLANKS).endswith("\\") or uncomment(Text.of_line(line))[0].text.endswith("\\")


def _further_lines(lines: Iterator[str]) -> Iterator[str]:
    """A line that is empty ends a definition, one with only blanks or a comment does not."""
    for line in lines:
        line = line.rstrip("\r")
        yield line
        text = uncomment(Text.of_line(line))[0].text
        continued = line.rstrip(BLANKS).endswith("\\") or text.endswith("\\")
        if not line or (text and not continued):
            return


def _code(text: str, original: str, depth: int) -> _Line:
    plain = _plain_parts(text)
    if plain:
        text = "".join(plain)
    shape = _shape(text)
    after = depth
    for token in shape:
        after = max(0, after + _STEP[token])
    closing = len(shape) - len(shape.lstrip("}"))
    return _Line(
        text,
        original,
        max(0, depth - closing),
        depth,
        after,
        head=plain is not None and not plain[1] and set(shape) == {"w"},
        block="{" in shape,
    )


_STEP = {"{": 1, "}": -1, "w": 0}
_PART = re.compile(r"""[{}]|(?:[^{}"]|"[^"]*")+""")


def _plain_parts(text: str) -> tuple[str, str] | None:
    """Code with one blank at each side of a brace, and the comment with the blanks before
    it; None when a reference or the like may be in the line."""
    match = PLAIN.match(text)
    if match is None or "include" in text or (text[match.end() :] and text[match.end()] not in "#!"):
        return None
    code = text[: match.end()]
    parts = (part.strip(BLANKS) for part in _PART.findall(code))
    comment = text[match.end() :]
    gap = code[len(code.rstrip(BLANKS)) :] or " "
    return " ".join(part for part in parts if part), f"{gap}{comment}" if comment else ""


_NO_BRACES = re.compile(
    r"""
    "[^"]*"?                                        # double quotes
    | \$\{[^{}]*\}                                  # a reference
    | ~LST[ \t]*\( (?: [^(){}] | \{[^{}]*\} )* \)    # the values of a list
    """,
    re.VERBOSE,
)
_ONE_THING = re.compile(r"(?:@\S*[ \t]+)?(?:include[rmwba]?[ \t]|\$[A-Za-z_][A-Za-z0-9_]*=)")


def _shape(text: str) -> str:
    """`{`, `}` and `w` for what stands between them. Only the looks depend on it."""
    if _ONE_THING.match(text):
        return "w"
    code = uncomment(Text.of_line(text))[0].text
    return re.sub(r"\s+", "", re.sub(r"[^{}\s]+", "w", _NO_BRACES.sub("w", code))).replace("ww", "w")


_FIRST_WORD = re.compile(rf"@[^{BLANKS}]*")


class _Conditions:
    """Lines such as `@one server A {` and `@two server B {` stand for one another: they have
    one depth, and only the first of them counts."""

    def __init__(self) -> None:
        self._condition = ""
        self._last: _Line | None = None

    def settled(self, line: _Line) -> _Line:
        last, condition = self._last, self._condition
        first_word = _FIRST_WORD.match(line.text)
        self._condition = first_word.group() if first_word else ""
        other = bool(condition and self._condition and condition != self._condition)
        if last and other and last.after - last.before == line.after - line.before:
            line = replace(line, depth=last.depth, before=last.before, after=last.after, block=False)
        self._last = line
        return line


# Writing


def _braces_joined(lines: Iterator[_Line], indent: str) -> list[_Line]:
    """A `{` that begins a line goes to the end of the keyword line before it."""
    joined: list[_Line] = []
    for line in lines:
        last = next((index for index in range(len(joined) - 1, -1, -1) if not joined[index].blank), None)
        if last is not None and joined[last].head and line.text.startswith("{") and not line.fixed:
            both = _both(joined[last], line)
            if _fits(indent * both.depth + both.text):
                joined[last:] = [both]
                continue
        joined.append(line)
    return joined


def _both(head: _Line, brace: _Line) -> _Line:
    return replace(brace, text=f"{head.text} {brace.text}", depth=head.depth, before=head.before)


def _spaced(lines: list[_Line]) -> Iterator[_Line]:
    wanted = _wanted_blanks(lines)
    last: _Line | None = None
    owed = False
    for index, line in enumerate(lines):
        if line.blank:
            owed = True
            continue
        if last is not None and (index in wanted or (owed and _may_be_apart(last, line))):
            yield _BLANK
        yield line
        last, owed = line, False


_BLANK = _Line("", "", 0, 0, 0)


def _may_be_apart(above: _Line, below: _Line) -> bool:
    """No blank line just inside a block."""
    return not (above.after > above.before and not above.fixed) and below.depth >= below.before


def _wanted_blanks(lines: list[_Line]) -> set[int]:
    """The indexes of the lines that need a blank line before them: a top-level block with
    the comments just above it, and what follows such a block."""
    wanted: set[int] = set()
    comments = 0
    ended = False
    for index, line in enumerate(lines):
        if line.blank:
            comments = 0
            continue
        if ended:
            wanted.add(index)
        if line.block and line.before == 0:
            wanted.add(index - comments)
        ended = line.after == 0 and (line.before > 0 or line.block)
        comments = comments + 1 if line.comment else 0
    return wanted
