"""Logical lines: what the language layer hands to the block layer. Pure.

keepalived's grammar is line based: after comments, definitions, sequences, conditions
and includes are dealt with, the text is a stream of logical lines, where every brace
outside double quotes stands alone (keepalived.conf(5)). The block layer decides with the
schema which keyword opens a block.
"""

from __future__ import annotations

from dataclasses import dataclass

from keepalive_py.config.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its quotes removed; `span` is where it stands in the file (for text that
    came out of a definition: the place of its use)."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """`words` is never empty. A brace line has the single word `{` or `}`, unquoted
    (`brace` is then that character, else ""). `raw` is the text that `words` was cut from,
    for keywords that read it with shell-like quoting (scripts, regex: see `quoting`)."""

    words: tuple[Word, ...]
    raw: str
    span: Span
    brace: str = ""

    @property
    def keyword(self) -> str:
        return self.words[0].text

    def text(self, index: int) -> str | None:
        """Word `index` as text, or None when the line is shorter."""
        return self.words[index].text if index < len(self.words) else None
