"""One module as it stands: wanted, loaded, verified, counted; as a value that can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keepalive_py.health.fitness import Standing
from keepalive_py.toa import verdict
from keepalive_py.toa.flavours import Wanted
from keepalive_py.toa.kernel import LoadedModule, loaded_module
from keepalive_py.toa.memory import LoadedByUs
from keepalive_py.toa.refusals import other_parameters
from keepalive_py.toa.statistics import Counter
from keepalive_py.toa.statistics import parse as parse_statistics
from keepalive_py.toa.verdict import Result, Verdict

__all__ = ["ModuleState", "health_of", "look"]


@dataclass(frozen=True, slots=True)
class ModuleState:
    """`results` None: not verified yet. `trouble`: why it is not as wanted."""

    wanted: Wanted
    loaded: LoadedModule | None
    ours: bool = False
    results: tuple[Result, ...] | None = None
    trouble: str = ""
    counters: Mapping[str, Counter] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.wanted.name

    @property
    def standing(self) -> Standing:
        """Whether it does its work. An application can get the address without the module, so before
        the proof nothing is known; of one without a proof its presence is all there is."""
        there = self.loaded is not None
        if self.results is None and self.wanted.layouts:
            return Standing.UNKNOWN
        return verdict.standing(self.results or (), loaded=there)

    @property
    def verdict(self) -> Verdict:
        return verdict.summary(self.results or (), loaded=self.loaded is not None)

    def word(self) -> str:
        """For people: what it comes to."""
        if not self.wanted.layouts:
            return "loaded" if self.loaded else "not loaded"
        if self.results is None:
            return f"{'loaded' if self.loaded else 'not loaded'}, not verified"
        return self.verdict.value

    def as_row(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "flavour": self.wanted.flavour.name,
            "required": not self.wanted.config.optional,
            "source": str(self.wanted.config.module_source),
            "standing": self.standing.value,
            "state": self.word(),
            "loaded": _loaded_row(self.loaded),
            "loaded_by_us": self.ours,
            "verification": None if self.results is None else [_result_row(each) for each in self.results],
            "trouble": self.trouble,
            "counters": {name: counter.total for name, counter in self.counters.items()},
            "counters_by_processor": {name: list(c.processors) for name, c in self.counters.items()},
            "warnings": list(self.warnings),
        }


def _loaded_row(module: LoadedModule | None) -> dict[str, Any] | None:
    if module is None:
        return None
    return {
        "version": module.version,
        "srcversion": module.srcversion,
        "taint": module.taints(),
        "signed": module.signed,
        "state": module.state,
        "users": module.users,
        "parameters": dict(module.parameters),
    }


def _result_row(result: Result) -> dict[str, Any]:
    return {
        "layout": result.layout,
        "listener": result.listener.value,
        "verdict": result.verdict.value,
        "detail": result.detail,
        "read_from": [place.value for place in result.places],
        "decides": result.decides,
    }


def look(wanted: Wanted, ours: LoadedByUs) -> ModuleState:
    """What /sys and /proc say now; nothing is sent."""
    loaded = loaded_module(wanted.name)
    trouble = ""
    if loaded is not None:
        refused = other_parameters(wanted.name, wanted.config.parameters, loaded.parameters)
        trouble = str(refused) if refused is not None else ""
    return ModuleState(
        wanted, loaded, wanted.name in ours.read(), trouble=trouble, counters=_counters(wanted.statistics)
    )


def _counters(path: str) -> dict[str, Counter]:
    try:
        return parse_statistics(Path(path).read_text(encoding="ascii", errors="replace")) if path else {}
    except OSError:
        return {}


def health_of(states: Iterable[ModuleState]) -> Standing:
    """Of the host: NO when a required module does not do its work."""
    standings: Sequence[Standing] = [each.standing for each in states if not each.wanted.config.optional]
    for worst in (Standing.NO, Standing.UNKNOWN):
        if worst in standings:
            return worst
    return Standing.YES
