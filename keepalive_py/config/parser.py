"""Logical lines become drafts of blocks, guided by the declarations. Pure.

Structure is keepalived's (keepalived.conf(5), and as observed): a keyword that opens a block
wants `{` next; what is unknown is skipped line by line, so the content of an unknown *block* is
read as keywords of the block around it, whose end its `}` then is. We read the same, because the
table must be the same, but report the root cause once and count what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from keepalive_py.config.diagnostics import Diagnostics
from keepalive_py.config.kinds import Block, Lines
from keepalive_py.config.language import Grammar, Language
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.remarks import Remarks
from keepalive_py.config.schema import NOTHING, Again, BadValue, Draft, Keyword, finished, hook
from keepalive_py.config.vrrp import LIST, NOTICE, Kept, KeptBlock, KeptNames

__all__ = ["Parser"]

INDENT = "    "


class Parser:
    """One pass over the lines of a text.

    `depth` counts the braces of the text, `level` the blocks that are open here. They differ
    while the text is astray: after an unknown block, a stray or a missing `{`.
    """

    def __init__(
        self,
        language: Language,
        lines: Iterable[LogicalLine],
        diagnostics: Diagnostics,
        own_file: bool = False,
    ) -> None:
        self.language = language
        self.diagnostics = diagnostics
        self.remarks = Remarks(language, diagnostics, own_file)
        self._lines = iter(lines)
        self._pushed_back: LogicalLine | None = None
        self._depth = 0
        self._open: list[Draft] = []
        self._open_at_end: tuple[Draft, ...] | None = None
        self._astray = False
        self._lost_lines = 0

    def run(self, top: Draft) -> None:
        """Reads to the end; what the text says is then in `top`."""
        self._body(top, self.language.top, wants_brace=False)
        self.remarks.unclosed(self._depth, self._open_at_end or ())

    # lines and braces

    def _next(self) -> LogicalLine | None:
        line = self._pushed_back
        if line is not None:
            self._pushed_back = None
            return line
        line = next(self._lines, None)
        if line is None and self._open_at_end is None:
            self._open_at_end = tuple(self._open)
        if line is not None and line.brace:
            self._count(line)
        return line

    def _count(self, line: LogicalLine) -> None:
        self._depth += 1 if line.brace == "{" else -1
        if self._depth < 0:
            self._depth = 0
            if not self._astray:
                self.remarks.extra_brace(line)
                self._astray = True

    def _peek(self) -> str:
        """The first word of the next line; "" at the end."""
        self._pushed_back = self._next()
        return "" if self._pushed_back is None else self._pushed_back.words[0].text

    # blocks

    def _body(self, draft: Draft, grammar: Grammar, *, wants_brace: bool) -> None:
        """To the end of the block, or of the text: that ends every block, as in keepalived."""
        keywords, blocks = grammar.keywords, grammar.blocks
        while True:
            line = self._next()
            if line is None:
                return
            word = line.words[0].text
            if wants_brace:
                wants_brace = False
                if word == "{":
                    continue
                self._missing_brace(line, draft)
            if word == "}" and self._open:
                return
            if self._astray:
                self._recover(line)
            keyword = keywords.get(word)
            if keyword is None:
                self._unknown(line, draft, grammar)
            elif word in blocks:
                self._block(line, keyword, blocks[word], draft)
            elif isinstance(keyword.kind, Lines):
                self._value_block(line, keyword, keyword.kind, draft)
            elif isinstance(keyword.kind, Kept):
                self._kept_block(line, keyword, keyword.kind, draft)
            else:
                self._value(line, keyword, draft)

    def _block(self, line: LogicalLine, keyword: Keyword, grammar: Grammar, parent: Draft) -> None:
        kind = keyword.kind
        assert isinstance(kind, Block)
        self.remarks.keyword(line, keyword, parent)
        head = None
        if kind.head is not None:
            head = self._read(line, keyword, parent, kind.head)
            if head is NOTHING:
                self._skip(line, parent)
                return
        draft = parent.values.get(keyword.into) if kind.merged else None
        if draft is None:
            draft = Draft(kind.block, title_of(line), line.span, self.diagnostics, head, parent)
            draft.ours = parent.ours or keyword.since == "ours"
            if kind.merged:
                parent.values[keyword.into] = draft
        hook(draft, "opened")
        self._open.append(draft)
        self._body(draft, grammar, wants_brace=True)
        self._open.pop()
        self._closed(line, keyword, kind, draft, parent)

    def _closed(self, line: LogicalLine, keyword: Keyword, kind: Block, draft: Draft, parent: Draft) -> None:
        hook(draft, "closed")
        if draft.refused or kind.merged:
            return
        value = draft if kind.deferred else finished(draft)
        if value is not None:
            self._store(line, keyword, value, parent)

    def _skip(self, line: LogicalLine, parent: Draft) -> None:
        """Leaves out a block whose head is no good."""
        if self._peek() != "{":
            if self._pushed_back is not None:
                draft = Draft(object, title_of(line), line.span, self.diagnostics, None, parent)
                self._missing_brace(self._pushed_back, draft)
            return
        self._next()
        deeper = 1
        while deeper:
            skipped = self._next()
            if skipped is None:
                return
            deeper += {"{": 1, "}": -1}.get(skipped.brace, 0)

    def _value_block(self, line: LogicalLine, keyword: Keyword, kind: Lines, parent: Draft) -> None:
        self.remarks.keyword(line, keyword, parent)
        head = None
        if kind.head is not None:
            head = self._read(line, keyword, parent, kind.head)
            if head is NOTHING:
                self._skip(line, parent)
                return
        draft = Draft(object, title_of(line), line.span, self.diagnostics, head, parent)
        self._open.append(draft)
        self._first_brace(keyword, draft)
        entries = list(self._entries(kind, keyword, draft))
        value = kind.made(head, entries, partial(draft.report))
        if value is not None:
            self._store(line, keyword, value, parent)

    def _first_brace(self, keyword: Keyword, draft: Draft) -> None:
        """The `{` of a block of lines. keepalived does not miss it itself, but another of its
        processes does; except in global_defs, which only one process reads."""
        if self._peek() == "{":
            self._next()
        elif self._pushed_back is not None and draft.parent is not None and draft.parent.parent is None:
            self._missing_brace(self._pushed_back, draft)

    def _entries(self, kind: Lines, keyword: Keyword, draft: Draft) -> Iterator[Any]:
        while True:
            line = self._next()
            if line is None or line.words[0].text == "}":
                self._open.pop()
                return
            value = self._read(line, keyword, draft, kind.entry)
            if value is not NOTHING:
                yield value

    def _kept_block(self, line: LogicalLine, keyword: Keyword, kind: Kept, parent: Draft) -> None:
        """A block of another part of keepalived: only its names are looked at."""
        self.remarks.note(line, "kept-block", *NOTICE)
        text: list[str] = []
        if kind.names is not None:
            draft = Draft(object, title_of(line), line.span, self.diagnostics, None, parent)
            self._open.append(draft)
            self._first_brace(keyword, draft)
            self._kept_body(kind.names, draft, text)
            self._open.pop()
        block = KeptBlock(keyword.name, title_of(line), "\n".join(text), line.span)
        self._store(line, keyword, block, parent)

    def _kept_body(self, names: KeptNames, draft: Draft, text: list[str]) -> None:
        """To the end of the block, or of the text. Braces nest as they stand, so nothing goes astray."""
        around: list[KeptNames] = []
        inner = LIST  # the names of the block that a `{` would open now
        while True:
            line = self._next()
            if line is None:
                text.extend(INDENT * depth + "}" for depth in range(len(around), 0, -1))
                return
            word = line.words[0].text
            indent = INDENT * (len(around) + 1)
            if word == "{":
                text[-1:] = [f"{text[-1]} {{" if text else f"{indent}{{"]
                around.append(names)
                names, inner = inner, LIST
            elif word != "}":
                text.append(indent + line.raw)
                inner = names.blocks.get(word, LIST)
                if not names.free and word not in names.blocks and word not in names.words:
                    self.remarks.unknown_keyword(line, draft, draft.title.split()[0], names.all_words())
            elif around:
                text.append(INDENT * len(around) + "}")
                names, inner = around.pop(), LIST
            else:
                return

    # keywords

    def _value(self, line: LogicalLine, keyword: Keyword, draft: Draft) -> None:
        if keyword.since or keyword.deprecated:
            self.remarks.keyword(line, keyword, draft)
        value = self._read(line, keyword, draft, keyword.kind)
        if value is not NOTHING and keyword.check is not None:
            value = self._checked(line, keyword, draft, value)
        if value is not NOTHING:
            self._store(line, keyword, value, draft)

    def _read(self, line: LogicalLine, keyword: Keyword, draft: Draft, kind: Any) -> Any:
        try:
            return kind.parse(line)
        except BadValue as bad:
            self.remarks.bad_value(line, keyword, draft, bad)
            return bad.used

    def _checked(self, line: LogicalLine, keyword: Keyword, draft: Draft, value: Any) -> Any:
        assert keyword.check is not None
        try:
            return keyword.check(value, draft)
        except BadValue as bad:
            self.remarks.bad_value(line, keyword, draft, bad)
            return bad.used

    def _store(self, line: LogicalLine, keyword: Keyword, value: Any, draft: Draft) -> None:
        name, values = keyword.into, draft.values
        if getattr(keyword.kind, "keyed", False):
            known = values.setdefault(name, {})
            if value.name not in known:
                known[value.name] = value
            else:
                self.remarks.again(line, keyword, draft, f"{keyword.name} {value.name} is already defined")
            return
        if keyword.repeated:
            values.setdefault(name, []).append(value)
        elif keyword.again is Again.REPLACES or name not in draft.written:
            values[name] = value
        else:
            self.remarks.again(line, keyword, draft, f"`{keyword.name}` is already set")
            if keyword.again is Again.REFUSED:
                return
            values[name] = value
        draft.written[name] = line.span

    # braces and blocks that do not agree

    def _unknown(self, line: LogicalLine, draft: Draft, grammar: Grammar) -> None:
        word = line.words[0].text
        if self._astray:
            self._lost_lines += 1
        elif word == "{":
            self.remarks.stray_brace(line, draft)
            self._astray = True
        elif word == "}":
            self.remarks.extra_brace(line)
        elif self._peek() == "{":
            self._next()
            self.remarks.unknown_block(line, draft, grammar)
            self._astray = True
        else:
            self.remarks.unknown_keyword(line, draft, grammar.title, grammar.keywords)

    def _missing_brace(self, line: LogicalLine | None, draft: Draft) -> None:
        if not self._astray:
            self.remarks.no_brace(line, draft)
            self._astray = True

    def _recover(self, line: LogicalLine) -> None:
        """Ends the state of being astray where braces and blocks agree again."""
        if self._depth != len(self._open) or line.brace:
            return
        self._astray = False
        if self._lost_lines:
            self.remarks.back_on_track(line, self._lost_lines)
        self._lost_lines = 0


def title_of(line: LogicalLine) -> str:
    return " ".join([word.text for word in line.words])
