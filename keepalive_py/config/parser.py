"""Logical lines become drafts of blocks, guided by the declarations. Pure.

Structure is keepalived's (keepalived.conf(5), and as observed): a keyword that opens a block
wants `{` next; what is unknown is skipped line by line, so the content of an unknown *block* is
read as keywords of the block around it, whose end its `}` then is. We read the same, because the
table must be the same, but report the root cause once and count what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from keepalive_py.config.diagnostics import Diagnostic, Diagnostics, ExitClass, Severity, Span
from keepalive_py.config.kinds import Block, Lines
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import (
    NOTHING,
    Again,
    BadValue,
    Draft,
    Keyword,
    MissingValue,
    finished,
    hook,
    keywords_of,
    span_of,
)
from keepalive_py.config.spelling import nearest
from keepalive_py.config.vrrp import LIST, Kept, KeptBlock, KeptNames

__all__ = ["Grammar", "Language", "Parser"]


@dataclass(slots=True)
class Grammar:
    """The keywords of one kind of block. `blocks` are the grammars of those that open one."""

    title: str
    block: type
    keywords: dict[str, Keyword]
    blocks: dict[str, Grammar]


class Language:
    """Every block and keyword, ready for look-up. `additions` are keywords that a block class
    gets from outside: the checkers of a real server, the extra blocks of the top level."""

    def __init__(self, top: type, additions: Mapping[type, Iterable[Keyword]]) -> None:
        self._additions = additions
        self.owners: dict[str, list[str]] = {}
        self.top = self._grammar("the top level", top)

    def _grammar(self, title: str, block: type) -> Grammar:
        grammar = Grammar(title, block, {}, {})
        without = getattr(block, "WITHOUT", ())
        for keyword in (*keywords_of(block), *self._additions.get(block, ())):
            if keyword.name not in without:
                self._add(grammar, keyword)
        return grammar

    def _add(self, grammar: Grammar, keyword: Keyword) -> None:
        for name in (keyword.name, *keyword.aliases):
            grammar.keywords[name] = keyword
            self.owners.setdefault(name, []).append(grammar.title)
        if isinstance(keyword.kind, Block):
            inner = self._grammar(keyword.name, keyword.kind.block)
            for name in (keyword.name, *keyword.aliases):
                grammar.blocks[name] = inner


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
        self.own_file = own_file
        self._lines = iter(lines)
        self._pushed_back: LogicalLine | None = None
        self._depth = 0
        self._open: list[Draft] = []
        self._astray = False
        self._lost_lines = 0
        self._told: set[str] = set()

    def run(self, top: Draft) -> None:
        """Reads to the end; what the text says is then in `top`."""
        self._body(top, self.language.top, wants_brace=False)
        self._end_of_text()

    # lines and braces

    def _next(self) -> LogicalLine | None:
        line = self._pushed_back
        if line is not None:
            self._pushed_back = None
            return line
        line = next(self._lines, None)
        if line is not None and line.brace:
            self._count(line)
        return line

    def _count(self, line: LogicalLine) -> None:
        self._depth += 1 if line.brace == "{" else -1
        if self._depth < 0:
            self._depth = 0
            if not self._astray:
                self._report(line, "extra-brace", "`}` without a `{` before it", ExitClass.BRACES)
                self._astray = True

    def _peek(self) -> str:
        """The first word of the next line; "" at the end."""
        self._pushed_back = self._next()
        return "" if self._pushed_back is None else self._pushed_back.words[0].text

    def _end_of_text(self) -> None:
        if self._depth:
            self._report(
                None,
                "missing-brace",
                f"{self._depth} `}}` missing at the end of the text",
                ExitClass.BRACES,
                context=self._open[0] if self._open else None,
            )
        for draft in self._open[:1]:
            draft.report(
                "unfinished-block",
                f"{draft.title} is not closed",
                "an unfinished block is left out, as in keepalived",
                exit_class=None,
            )

    # blocks

    def _body(self, draft: Draft, grammar: Grammar, *, wants_brace: bool) -> bool:
        """Whether the block was closed."""
        keywords, blocks = grammar.keywords, grammar.blocks
        while True:
            line = self._next()
            if line is None:
                return False
            word = line.words[0].text
            if wants_brace:
                wants_brace = False
                if word == "{":
                    continue
                self._missing_brace(line, draft)
            if word == "}" and self._open:
                return True
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
        self._remark(line, keyword, parent)
        head = None
        if kind.head is not None:
            head = self._read(line, keyword, parent, kind.head)
            if head is NOTHING:
                self._skip(line, parent)
                return
        draft = parent.values.get(keyword.into) if kind.merged else None
        if draft is None:
            draft = Draft(kind.block, title_of(line), line.span, self.diagnostics, head, parent)
            if kind.merged:
                parent.values[keyword.into] = draft
        hook(draft, "opened")
        self._open.append(draft)
        if self._body(draft, grammar, wants_brace=True):
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
        self._remark(line, keyword, parent)
        head = None
        if kind.head is not None:
            head = self._read(line, keyword, parent, kind.head)
            if head is NOTHING:
                self._skip(line, parent)
                return
        draft = Draft(object, title_of(line), line.span, self.diagnostics, head, parent)
        self._first_brace(keyword, draft)
        self._open.append(draft)
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
            if line is None:
                return
            if line.words[0].text == "}":
                self._open.pop()
                return
            value = self._read(line, keyword, draft, kind.entry)
            if value is not NOTHING:
                yield value

    def _kept_block(self, line: LogicalLine, keyword: Keyword, kind: Kept, parent: Draft) -> None:
        """A block of another part of keepalived: only its names are looked at."""
        self._tell_once(line, "kept-block", *kind.notice(keyword.name))
        text: list[str] = []
        if kind.names is not None:
            draft = Draft(object, title_of(line), line.span, self.diagnostics, None, parent)
            self._first_brace(keyword, draft)
            self._open.append(draft)
            if not self._kept_body(kind.names, draft, text):
                return
            self._open.pop()
        block = KeptBlock(keyword.name, title_of(line), "\n".join(text), line.span)
        self._store(line, keyword, block, parent)

    def _kept_body(self, names: KeptNames, draft: Draft, text: list[str], indent: str = "    ") -> bool:
        """Whether the block was closed. Braces nest as they stand, so nothing goes astray."""
        inner: KeptNames | None = None
        while True:
            line = self._next()
            if line is None:
                return False
            word = line.words[0].text
            if word == "}":
                return True
            if word == "{":
                text[-1:] = [f"{text[-1]} {{" if text else f"{indent}{{"]
                if not self._kept_body(inner or LIST, draft, text, indent + "    "):
                    return False
                text.append(f"{indent}}}")
                continue
            text.append(indent + line.raw)
            inner = names.blocks.get(word)
            if not names.free and inner is None and word not in names.words:
                self._unknown_word(line, draft, draft.title.split()[0], names.all_words())

    # keywords

    def _value(self, line: LogicalLine, keyword: Keyword, draft: Draft) -> None:
        if keyword.since or keyword.deprecated:
            self._remark(line, keyword, draft)
        value = self._read(line, keyword, draft, keyword.kind)
        if value is not NOTHING and keyword.check is not None:
            value = self._checked(line, keyword, draft, value)
        if value is not NOTHING:
            self._store(line, keyword, value, draft)

    def _read(self, line: LogicalLine, keyword: Keyword, draft: Draft, kind: Any) -> Any:
        try:
            return kind.parse(line)
        except BadValue as bad:
            self._bad_value(line, keyword, draft, bad)
            return bad.used

    def _checked(self, line: LogicalLine, keyword: Keyword, draft: Draft, value: Any) -> Any:
        assert keyword.check is not None
        try:
            return keyword.check(value, draft)
        except BadValue as bad:
            self._bad_value(line, keyword, draft, bad)
            return bad.used

    def _store(self, line: LogicalLine, keyword: Keyword, value: Any, draft: Draft) -> None:
        name, values = keyword.into, draft.values
        if getattr(keyword.kind, "keyed", False):
            known = values.setdefault(name, {})
            if value.name not in known:
                known[value.name] = value
            else:
                self._again(line, keyword, draft, f"{keyword.name} {value.name} is already defined")
            return
        if keyword.repeated:
            values.setdefault(name, []).append(value)
        elif keyword.again is Again.REPLACES or name not in draft.written:
            values[name] = value
        else:
            self._again(line, keyword, draft, f"`{keyword.name}` is already set")
            if keyword.again is Again.REFUSED:
                return
            values[name] = value
        draft.written[name] = line.span

    def _again(self, line: LogicalLine, keyword: Keyword, draft: Draft, summary: str) -> None:
        note = "this one replaces it" if keyword.again is Again.WARNS else "the first one counts"
        silent = keyword.again is Again.KEEPS
        self._report(line, "repeated", summary, None if silent else ExitClass.GENERAL, note, context=draft)

    # what to say

    def _bad_value(self, line: LogicalLine, keyword: Keyword, draft: Draft, bad: BadValue) -> None:
        exit_class = bad.exit_class
        if isinstance(bad, MissingValue) and not bad.always_fatal:
            exit_class = keyword.empty.value
        notes = bad.notes
        if exit_class is ExitClass.MISSING_PARAMETER:
            notes += ("keepalived ends with status 2 at this line",)
        elif bad.used is NOTHING and not notes:
            notes = ("the line is ignored",)
        self.diagnostics.add(
            Diagnostic(
                severity=Severity.WARNING if exit_class is None else Severity.ERROR,
                code=bad.code,
                summary=bad.summary,
                subject=span_of(line, bad.word),
                context=draft.where,
                context_title=draft.title,
                label=f"expected {bad.expected}" if bad.expected else "",
                notes=notes,
                exit_class=exit_class,
            )
        )

    def _remark(self, line: LogicalLine, keyword: Keyword, draft: Draft) -> None:
        """Says what is to be said of the keyword itself."""
        if keyword.deprecated:
            self._report(
                line,
                "deprecated",
                f"`{line.keyword}` is deprecated, use {keyword.deprecated}",
                None if keyword.quietly else ExitClass.DEPRECATED,
                context=draft,
            )
        if keyword.since == "ours" and not self.own_file:
            self._tell_once(
                line,
                "own-keyword",
                f"keepalived does not know `{keyword.name}`",
                "in keepalive_py.conf beside this file it would not disturb keepalived",
            )

    def _unknown(self, line: LogicalLine, draft: Draft, grammar: Grammar) -> None:
        word = line.words[0].text
        if self._astray:
            self._lost_lines += 1
        elif word == "{":
            self._report(
                line, "stray-brace", "`{` where no block begins", ExitClass.UNKNOWN_KEYWORD,
                "its `}` ends the block around it, as in keepalived", context=draft,
            )  # fmt: skip
            self._astray = True
        elif word == "}":
            self._report(line, "extra-brace", "`}` without a `{` before it", ExitClass.BRACES)
        elif self._peek() == "{":
            self._next()
            self._unknown_block(line, draft, grammar)
        else:
            self._unknown_word(line, draft, grammar.title, grammar.keywords)

    def _unknown_block(self, line: LogicalLine, draft: Draft, grammar: Grammar) -> None:
        enclosing = draft.title if self._open else "the top level"
        self._unknown_word(
            line,
            draft,
            grammar.title,
            grammar.keywords,
            f"its content is read as lines of {enclosing}, and its `}}` as the end of that, as in keepalived",
            code="unknown-block",
        )
        self._astray = True

    def _unknown_word(
        self,
        line: LogicalLine,
        draft: Draft,
        title: str,
        known: Iterable[str],
        note: str = "the line is ignored, as in keepalived",
        code: str = "unknown-keyword",
    ) -> None:
        word = line.words[0]
        self.diagnostics.add(
            Diagnostic(
                severity=Severity.ERROR,
                code=code,
                summary=f"`{word.text}` is not a keyword of {title}",
                subject=word.span,
                context=draft.where,
                context_title=draft.title,
                label=self._suggestion(word.text, known),
                notes=(note,),
                exit_class=ExitClass.UNKNOWN_KEYWORD,
            )
        )

    def _suggestion(self, word: str, known: Iterable[str]) -> str:
        owners = self.language.owners.get(word)
        if owners:
            return f"`{word}` is a keyword of {' and '.join(dict.fromkeys(owners))}"
        by_case = [name for name in known if name.lower() == word.lower()]
        meant = by_case[0] if by_case else nearest(word, known)
        return f"did you mean `{meant}`?" if meant else ""

    def _missing_brace(self, line: LogicalLine | None, draft: Draft) -> None:
        if not self._astray:
            self._report(
                line,
                "missing-brace",
                f"`{{` is missing after `{draft.title}`",
                ExitClass.BRACES,
                "this line is read as the first one of the block",
                context=draft,
            )
            self._astray = True

    def _recover(self, line: LogicalLine) -> None:
        """Ends the state of being astray where braces and blocks agree again."""
        if self._depth != len(self._open) or line.brace:
            return
        self._astray = False
        if self._lost_lines:
            self._report(
                line,
                "back-on-track",
                f"{self._lost_lines} lines before this one were ignored because of the error above",
                None,
                severity=Severity.NOTE,
            )
        self._lost_lines = 0

    def _tell_once(self, line: LogicalLine, code: str, summary: str, *notes: str) -> None:
        if summary not in self._told:
            self._told.add(summary)
            self._report(line, code, summary, None, *notes, severity=Severity.NOTE)

    def _report(
        self,
        line: LogicalLine | None,
        code: str,
        summary: str,
        exit_class: ExitClass | None,
        *notes: str,
        context: Draft | None = None,
        severity: Severity | None = None,
    ) -> None:
        if severity is None:
            severity = Severity.WARNING if exit_class is None else Severity.ERROR
        span: Span | None = None if line is None else line.span
        where = context.where if context else None
        title = context.title if context else ""
        self.diagnostics.add(Diagnostic(severity, code, summary, span, where, title, "", notes, exit_class))


def title_of(line: LogicalLine) -> str:
    return " ".join([word.text for word in line.words])
