"""What the parser has to say, as diagnostics. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keepalive_py.config.diagnostics import MOST_OF_A_KIND, Diagnostic, Diagnostics, ExitClass, Severity
from keepalive_py.config.kinds import Block, Lines
from keepalive_py.config.language import Grammar, Language
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import NOTHING, Again, BadValue, Draft, Keyword, MissingValue, span_of
from keepalive_py.config.spelling import nearest

__all__ = ["Remarks"]

MOST_OWNERS = 3
IGNORED = "the line is ignored"


def opens_block(line: LogicalLine, keyword: Keyword) -> bool:
    return isinstance(keyword.kind, Block | Lines) and line.keyword == keyword.name


class Remarks:
    """Adds diagnostics about lines. `own_file`: the text need not be readable by keepalived."""

    def __init__(self, language: Language, diagnostics: Diagnostics, own_file: bool) -> None:
        self.language = language
        self.diagnostics = diagnostics
        self.own_file = own_file
        self._told: set[str] = set()
        self._unknown_words = 0
        self._suspect: Draft | None = None  # where a block of the top level was found

    def add(
        self,
        line: LogicalLine | None,
        code: str,
        summary: str,
        exit_class: ExitClass | None,
        *notes: str,
        context: Draft | None = None,
    ) -> None:
        self.diagnostics.add(
            Diagnostic(
                Severity.WARNING if exit_class is None else Severity.ERROR,
                code,
                summary,
                None if line is None else line.span,
                context.where if context else None,
                context.title if context else "",
                notes=notes,
                exit_class=exit_class,
            )
        )

    def note(self, line: LogicalLine, code: str, summary: str, *notes: str) -> None:
        """Once for each summary."""
        if summary not in self._told:
            self._told.add(summary)
            self.diagnostics.add(Diagnostic(Severity.NOTE, code, summary, line.span, notes=notes))

    def bad_value(self, line: LogicalLine, keyword: Keyword, draft: Draft, bad: BadValue) -> None:
        exit_class, notes = bad.exit_class, bad.notes
        if isinstance(bad, MissingValue) and not bad.always_fatal:
            exit_class = keyword.empty.value
        if exit_class is ExitClass.MISSING_PARAMETER:
            notes += ("keepalived ends with status 2 at this line",)
        elif bad.used is NOTHING and not notes:
            notes = ("the block is left out" if opens_block(line, keyword) else IGNORED,)
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

    def keyword(self, line: LogicalLine, keyword: Keyword, draft: Draft) -> None:
        """What is to be said of the keyword itself. That keepalived does not know a block says all of
        what stands in it."""
        if keyword.deprecated:
            summary = f"`{line.keyword}` is deprecated, use {keyword.deprecated}"
            exit_class = None if keyword.quietly else ExitClass.DEPRECATED
            self.add(line, "deprecated", summary, exit_class, context=draft)
        if keyword.idle:
            self.note(line, "no-effect", f"`{keyword.name}` has no effect here", keyword.idle)
        if keyword.since == "ours" and not (self.own_file or draft.ours):
            summary = f"keepalived does not know `{keyword.name}`"
            self.note(line, "own-keyword", summary, "in keepalive_py.conf it would not disturb keepalived")

    def again(self, line: LogicalLine, keyword: Keyword, draft: Draft, summary: str) -> None:
        note = "this one replaces it" if keyword.again is Again.WARNS else "the first one counts"
        exit_class = None if keyword.again is Again.KEEPS else ExitClass.GENERAL
        self.add(line, "repeated", summary, exit_class, note, context=draft)

    def unknown_keyword(self, line: LogicalLine, draft: Draft, title: str, known: Iterable[str]) -> None:
        note = IGNORED if draft.ours or self.own_file else f"{IGNORED}, as in keepalived"
        self._unknown(line, draft, title, known, "unknown-keyword", note)

    def unknown_block(self, line: LogicalLine, draft: Draft, grammar: Grammar) -> None:
        if self._suspect is None and draft.title and line.words[0].text in self.language.top.keywords:
            self._suspect = draft
        around = draft.title or "the top level"
        note = f"its content is read as lines of {around}, and its `}}` as the end of that, as in keepalived"
        self._unknown(line, draft, grammar.title, grammar.keywords, "unknown-block", note)

    def _unknown(
        self, line: LogicalLine, draft: Draft, title: str, known: Iterable[str], code: str, note: str
    ) -> None:
        word = line.words[0]
        self._unknown_words += 1
        label = self._meant(word.text, known) if self._unknown_words <= MOST_OF_A_KIND else ""
        self.diagnostics.add(
            Diagnostic(
                severity=Severity.ERROR,
                code=code,
                summary=f"`{word.text}` is not a keyword of {title}",
                subject=word.span,
                context=draft.where,
                context_title=draft.title,
                label=label,
                notes=(note,),
                exit_class=ExitClass.UNKNOWN_KEYWORD,
            )
        )

    def _meant(self, word: str, known: Iterable[str]) -> str:
        owners = list(dict.fromkeys(self.language.owners.get(word, ())))
        if owners:
            more = " and others" if len(owners) > MOST_OWNERS else ""
            return f"`{word}` is a keyword of {', '.join(owners[:MOST_OWNERS])}{more}"
        by_case = [name for name in known if name.lower() == word.lower()]
        meant = by_case[0] if by_case else nearest(word, known)
        return f"did you mean `{meant}`?" if meant else ""

    def stray_brace(self, line: LogicalLine, draft: Draft) -> None:
        note = "its `}` ends the block around it, as in keepalived"
        summary = "`{` where no block begins"
        self.add(line, "stray-brace", summary, ExitClass.UNKNOWN_KEYWORD, note, context=draft)

    def extra_brace(self, line: LogicalLine) -> None:
        self.add(line, "extra-brace", "`}` without a `{` before it", ExitClass.BRACES)

    def no_brace(self, line: LogicalLine | None, draft: Draft) -> None:
        """`line` is the next one; when it is of another file the block is what is shown."""
        summary = f"`{{` is missing after `{draft.title}`"
        note = "the line after it is read as the first one of the block"
        at = draft.where
        if line is not None and (at is None or line.span.file == at.file):
            at = line.span
        self.diagnostics.add(
            Diagnostic(
                Severity.ERROR,
                "missing-brace",
                summary,
                at,
                draft.where,
                draft.title,
                notes=(note,),
                exit_class=ExitClass.BRACES,
            )
        )

    def unclosed(self, missing: int, blocks: Sequence[Draft]) -> None:
        """`blocks` are open, from the outside in. The eye should begin at the innermost, or where a
        block of the top level stood in another: the `}` of one has then ended the other."""
        outermost = blocks[0] if blocks else None
        guilty = self._suspect or (blocks[-1] if blocks else None)
        if missing:
            summary = f"{missing} `}}` missing at the end of the text"
            self.diagnostics.add(
                Diagnostic(
                    Severity.ERROR,
                    "missing-brace",
                    summary,
                    guilty.where if guilty is not None else None,
                    outermost.where if outermost is not None else None,
                    outermost.title if outermost is not None else "",
                    label="not closed" if guilty is not None else "",
                    exit_class=ExitClass.BRACES,
                )
            )
        if outermost is not None:
            note = "the end of the text ends it, as in keepalived: what stands in it counts"
            outermost.warn("unfinished-block", f"{outermost.title} is not closed", note)

    def back_on_track(self, line: LogicalLine, lost: int) -> None:
        summary = f"{lost} lines before this one were ignored because of the error above"
        self.diagnostics.add(Diagnostic(Severity.NOTE, "back-on-track", summary, line.span))
