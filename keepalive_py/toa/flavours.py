"""What is known of each module: its names, what it reads, where it counts. Pure.

| flavour | module | option | reads | counters | parameter |
|---|---|---|---|---|---|
| alibaba | toa 1.0.0.0 | 254 | IPv4 | /proc/net/toa_stats | |
| dpvs | toa 2.0.0.0 | 254 | IPv4, IPv6 | /proc/net/toa_stats | |
| huawei | toa 1.0.0.0 | 254 | IPv4 | /proc/net/toa_stats | |
| ucloud | toa 2.0.0.0 | 200, also 254 | IPv4 | /proc/net/toa_stats | |
| ttm | bce_ttm 1.0.1.8, elsewhere ttm | 254 | IPv4 | /proc/net/ttm_all_stats | tcpopt_ttm: the option |
| uoa | uoa (UDP) | | | | |
| vtoa | vtoa | | | | |

Sources: alibaba/LVS kernel/net/toa; iqiyi/dpvs kmod/toa and kmod/uoa; Huawei/TCP_option_address;
ucloud/ucloud-toa; baidu/ttm, which declares an IPv6 form and does not read it. vtoa has no public
source: name its layouts with `verify`. uoa is for UDP, whose addresses are asked for with
getsockopt(2): there is nothing that a handshake could prove.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from keepalive_py.config.toa import ToaModule
from keepalive_py.wire.toa import Layout, Layouts

__all__ = ["FLAVOURS", "Flavour", "Wanted", "flavour_of", "wanted"]

TOA_STATISTICS: Final = "/proc/net/toa_stats"


@dataclass(frozen=True, slots=True)
class Flavour:
    """`kind_parameter`: the module's parameter that holds the number of the option."""

    name: str
    layouts: tuple[str, ...] = ()
    statistics: str = ""
    kind_parameter: str = ""


FLAVOURS: Final = {
    flavour.name: flavour
    for flavour in (
        Flavour("alibaba", ("toa4",), TOA_STATISTICS),
        Flavour("dpvs", ("toa4", "toa6"), TOA_STATISTICS),
        Flavour("huawei", ("toa4",), TOA_STATISTICS),
        Flavour("ucloud", ("ucloud",), TOA_STATISTICS),
        Flavour("ttm", ("toa4",), "/proc/net/ttm_all_stats", "tcpopt_ttm"),
        Flavour("uoa"),
        Flavour("vtoa"),
        Flavour("other", ("toa4",)),
    )
}
BY_NAME: Final = {"toa": "alibaba", "bce_ttm": "ttm", "ttm": "ttm", "uoa": "uoa", "vtoa": "vtoa"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module with everything that its block left open filled in."""

    config: ToaModule
    flavour: Flavour
    layouts: tuple[Layout, ...]
    statistics: str

    @property
    def name(self) -> str:
        return self.config.name


def flavour_of(module: ToaModule) -> Flavour:
    """What the block says, else what the name says. A plain `toa` counts as the least of them."""
    return FLAVOURS[module.flavour or BY_NAME.get(module.name, "other")]


def wanted(module: ToaModule) -> Wanted:
    flavour = flavour_of(module)
    names = flavour.layouts if module.layouts is None else module.layouts
    kind = module.option_kind or _kind_of_parameters(module, flavour)
    layouts = tuple(_with_kind(Layouts[name.upper()].value, kind) for name in names)
    return Wanted(module, flavour, layouts, module.statistics or flavour.statistics)


def _kind_of_parameters(module: ToaModule, flavour: Flavour) -> int:
    for parameter in module.parameters:
        if parameter.name == flavour.kind_parameter and parameter.value.isdecimal():
            return int(parameter.value) & 0xFF
    return 0


def _with_kind(layout: Layout, kind: int) -> Layout:
    return dataclasses.replace(layout, kind=kind) if kind else layout
