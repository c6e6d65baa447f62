"""All blocks and keywords of the language, ready for look-up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keepalive_py.config.kinds import Block
from keepalive_py.config.schema import Keyword, keywords_of

__all__ = ["Grammar", "Language"]


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
