"""Blocks of our own that other parts of the project add to the language. Pure.

A part that wants a top-level block declares a dataclass with `keyword()` fields (see `schema.py`)
and enters it here; its values then stand in `Config.extensions`, a tuple for each keyword.

```python
EXTRA_BLOCKS["bgp_announcer"] = Block(BgpAnnouncer)               # bgp_announcer { }
EXTRA_BLOCKS["uplink"] = Block(Uplink, head=Word())               # uplink NAME { }
```

They are keywords of the main file and of the side file. With a `head`, its value is in
`draft.head` of the class's `finish`.
"""

from __future__ import annotations

from typing import Final

from keepalive_py.config.bgp_announcer import BgpAnnouncer
from keepalive_py.config.control import ControlApi, Webhook
from keepalive_py.config.dpvs import DpvsAgent
from keepalive_py.config.kinds import Block, Word
from keepalive_py.config.reconcile import Reconcile
from keepalive_py.config.toa import Toa

__all__ = ["EXTRA_BLOCKS"]

EXTRA_BLOCKS: Final[dict[str, Block]] = {
    "dpvs": Block(DpvsAgent),
    "bgp_announcer": Block(BgpAnnouncer),
    "control": Block(ControlApi),
    "webhook": Block(Webhook, head=Word()),
    "toa": Block(Toa),
    "reconcile": Block(Reconcile),
}
