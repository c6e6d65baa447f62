"""docs/reference.md is what the declarations say. `python tests/unit/config/test_config_reference.py`
writes it anew."""

from pathlib import Path

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import language
from keepalive_py.config.reference import reference
from keepalive_py.config.schema import keywords_of

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_reference_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference(language(REGISTRY))


def test_every_keyword_says_what_it_is_for():
    grammars = [language(REGISTRY).top]
    for grammar in grammars:
        grammars.extend(grammar.blocks.values())
        for keyword in grammar.keywords.values():
            assert keyword.doc.endswith("."), (grammar.title, keyword.name)


def test_no_field_is_declared_twice():
    for checker in REGISTRY.values():
        names = [keyword.name for keyword in keywords_of(checker.config)]
        assert len(names) == len(set(names)), checker.kind


if __name__ == "__main__":
    PAGE.write_text(reference(language(REGISTRY)), encoding="utf-8")
