"""The language of `toa { }`, and what is known of each module."""

from __future__ import annotations

from pathlib import Path

import pytest
from strategies import loaded

from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.model import Config
from keepalive_py.config.toa import FLAVOURS as FLAVOUR_NAMES
from keepalive_py.config.toa import LAYOUT_NAMES, Parameter, Source, SourceKind, Toa
from keepalive_py.config.writer import write
from keepalive_py.toa.flavours import FLAVOURS, wanted
from keepalive_py.wire.toa import Layouts

BLOCK = """
toa {
    module toa {
        flavour dpvs
        source file /opt/toa/toa.ko
        verify toa4 toa6
    }
    module bce-ttm {
        parameter tcpopt_ttm 253
        optional
    }
    module uoa { source dkms uoa-dkms }
    listen 10.0.0.11 6604
    listen fd00::11 6604
    verify_interval 60
    watch_only
}
"""


def block_of(config: Config) -> Toa:
    (block,) = config.extensions["toa"]
    assert isinstance(block, Toa)
    return block


def codes(text: str) -> list[str]:
    return [each.code for each in loaded(text).diagnostics if each.severity is not Severity.NOTE]


def test_the_block_is_read_and_written() -> None:
    answer = loaded(BLOCK)
    block = block_of(answer.config)

    assert codes(BLOCK) == []
    toa, ttm, uoa = block.modules
    assert (toa.name, toa.flavour, toa.layouts) == ("toa", "dpvs", ("toa4", "toa6"))
    assert toa.module_source == Source(SourceKind.FILE, "/opt/toa/toa.ko")
    assert (ttm.name, ttm.parameters, ttm.optional) == ("bce_ttm", (Parameter("tcpopt_ttm", "253"),), True)
    assert uoa.module_source == Source(SourceKind.DKMS, "uoa-dkms")
    assert [str(each) for each in block.listen] == ["10.0.0.11:6604", "[fd00::11]:6604"]
    assert (block.verify_interval, block.watch_only) == (60.0, True)
    assert loaded(write(answer.config)).config == answer.config


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("flavour dvps", "unknown-choice"),
        ("source tarball x", "unknown-choice"),
        ("source file toa.ko", "bad-value"),
        ("parameter a-b 1", "bad-value"),
        ("parameter a", "bad-value"),
        ("verify toa5", "unknown-choice"),
        ("option_kind 256", "bad-number"),
        ("parameter a 1\nparameter a 2", "duplicate"),
    ],
)
def test_what_a_module_cannot_be(line: str, code: str) -> None:
    assert codes(f"toa {{\nmodule toa {{\n{line}\n}}\n}}\n") == [code]


def test_a_module_a_block_and_a_listener_once() -> None:
    assert codes("toa {\nmodule toa {\n}\nmodule toa {\n}\n}\n") == ["duplicate"]
    assert codes("toa {\nmodule toa {\n}\n}\ntoa {\nmodule ttm {\n}\n}\n") == ["duplicate"]
    assert codes("toa {\n}\n") == ["no-module"]
    assert codes("toa {\nmodule ../x {\n}\n}\n")[0] == "bad-name"


def layouts(module: str) -> list[tuple[str, int]]:
    text = f"toa {{\nmodule {module}\n}}\n"
    (config,) = block_of(loaded(text).config).modules
    return [(layout.name, layout.kind) for layout in wanted(config).layouts]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("toa {\n}", [("toa4", 254)]),
        ("toa {\nflavour dpvs\n}", [("toa4", 254), ("toa6", 254)]),
        ("toa {\nflavour ucloud\n}", [("ucloud", 200)]),
        ("ttm {\n}", [("toa4", 254)]),
        ("ttm {\nparameter tcpopt_ttm 253\n}", [("toa4", 253)]),
        ("ours {\noption_kind 77\nverify toa6\n}", [("toa6", 77)]),
        ("uoa {\n}", []),
        ("toa {\nverify none\n}", []),
    ],
)
def test_what_must_work_by_flavour(module: str, expected: list[tuple[str, int]]) -> None:
    assert layouts(module) == expected


def test_the_language_and_the_tables_name_the_same() -> None:
    assert tuple(FLAVOURS) == FLAVOUR_NAMES
    assert tuple(layout.value.name for layout in Layouts) == LAYOUT_NAMES
    for flavour in FLAVOURS.values():
        assert set(flavour.layouts) <= set(LAYOUT_NAMES)
        assert flavour.statistics == "" or Path(flavour.statistics).is_relative_to("/proc/net")
