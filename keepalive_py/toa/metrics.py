"""The modules as metrics in Prometheus's text format. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from keepalive_py.health.fitness import Standing
from keepalive_py.toa.state import ModuleState
from keepalive_py.toa.verdict import Verdict

__all__ = ["metrics"]

PREFIX: Final = "keepalive_py_toa"
HELP: Final = (
    ("module_loaded", "gauge", "1: the module is loaded."),
    ("module_works", "gauge", "1: a handshake proved that it works; 0: that it does not; absent: not known."),
    ("layout_works", "gauge", "The same for a layout of the option and a kind of listener."),
    ("counter_total", "counter", "What the module has counted, on each processor."),
)

Sample = tuple[dict[str, str], float]


def metrics(states: Iterable[ModuleState]) -> str:
    wanted = list(states)
    return "".join(
        f"# HELP {PREFIX}_{name} {text}\n# TYPE {PREFIX}_{name} {kind}\n"
        + "".join(_line(name, *sample) for state in wanted for sample in SAMPLES[name](state))
        for name, kind, text in HELP
    )


def _line(name: str, labels: dict[str, str], value: float) -> str:
    words = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{PREFIX}_{name}{{{words}}} {value:g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _loaded(state: ModuleState) -> Iterator[Sample]:
    loaded = state.loaded
    labels = {"module": state.name, "version": loaded.version if loaded is not None else ""}
    yield labels, float(loaded is not None)


def _works(state: ModuleState) -> Iterator[Sample]:
    if state.standing is not Standing.UNKNOWN:
        yield {"module": state.name}, float(state.standing is Standing.YES)


def _layouts(state: ModuleState) -> Iterator[Sample]:
    for result in state.results or ():
        if result.verdict is not Verdict.UNTRIED:
            labels = {"module": state.name, "layout": result.layout, "listener": result.listener.value}
            yield labels, float(result.verdict is Verdict.WORKS)


def _counters(state: ModuleState) -> Iterator[Sample]:
    for counter in state.counters.values():
        for processor, number in enumerate(counter.processors):
            yield {"module": state.name, "name": counter.name, "cpu": str(processor)}, float(number)


SAMPLES: Final = {
    "module_loaded": _loaded,
    "module_works": _works,
    "layout_works": _layouts,
    "counter_total": _counters,
}
