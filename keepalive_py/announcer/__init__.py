"""Virtual addresses on and off the loopback, so that a routing daemon announces them by BGP.

| file | what it holds |
|---|---|
| `policy` | when an address moves: held, announced, draining, withdrawn; pure |
| `vips` | which addresses, and which services each stands for; pure |
| `rtnetlink` | the kernel's addresses, links and neighbours |
| `ownership` | which addresses are ours, remembered in a file |
| `loopback` | addresses moved between three interfaces, in batches; drift repaired |
| `drains` | who drained what, why and until when; a file that an operator's tool writes |
| `routing` | what a routing daemon can be asked; `bird`, `frr`, `gobgp`, `exabgp` ask it |
| `feed` | tells routing daemons that do not look at interfaces what these hold |
| `confirm` | announced and not exported, or withdrawn and still exported; pure |
| `render` | a routing daemon's own configuration, from `templates/` |

An address is on exactly one of three interfaces: announced, announced with GRACEFUL_SHUTDOWN, or
held and not announced. The routing daemon is configured once (`render`) to export by interface, and
from then on only asked: nothing here ever changes its configuration or needs more than to read. So
an address can be moved while the routing daemon restarts, and stays where it is when we do.

Only addresses that we put there, or remember to have put there, are ever removed.

Standards: RFC 4271, RFC 8326 (graceful shutdown), RFC 2439 (damping), rtnetlink(7).
"""
