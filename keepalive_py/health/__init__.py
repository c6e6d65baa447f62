"""Verdicts turn into health, health into a pool and into events.

| file | what it holds |
|---|---|
| `verdict` | what one probe found, and the words for why anything changes |
| `checker_state` | one check: the table position × answer → rule |
| `service_state` | one virtual server with its real servers, and the pool derived from them |
| `quorum` | gained or lost, with hysteresis; the swap with the sorry server |
| `membership` | between health and pool: where the guards stand |
| `depool`, `damping`, `slow_start` | the guards, each off unless configured |
| `report` | one verdict and all that follows from it |
| `lifecycle`, `reload` | start, stop; going on under a new configuration |
| `remembered` | health as plain values, for the next process |
| `suspension` | ha_suspend: which checks sleep |
| `events` | what happened, as values |
| `wording` | events as keepalived's log lines, FIFO lines and mails |

The daemon calls `start`, then `report` with every verdict, `addresses_changed` when this host's
addresses do, `reload`, `stop`. Each returns events in order; after each the pool of a virtual
server is `ServiceState.weights()` and `sorry_weight()`, which `plan` turns into a table. State
objects are owned by whoever called `start`, changed only by these functions, from one thread.

Nothing here depends on what the kernel answered: a refused step leaves the decided state as it is
and is tried again by the next comparison of tables. (keepalived keeps the old state instead, and
repeats the transition and its log line at each further check.)

Standards: keepalived.conf(5); where it is silent, keepalived 2.2.7 and 2.4.3 as observed. Where
those do something by accident, this room does not: no empty pool while the sorry server is
swapped, one weighing of the quorum per reload, no weight left behind by a check that timed out.
"""
