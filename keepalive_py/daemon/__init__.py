"""The daemon: what an operator starts in place of keepalived.

One process, one event loop. keepalived's parent and checker are one here, so both pid files name
it and both processes' log lines are its own.

| file | what it holds |
|---|---|
| `options`, `paths` | the command line and the names of our own files, as values |
| `loading`, `vetting` | files -> model; which scripts may run |
| `reload_time` | the file that says when to reload |
| `life` | start, signals, reload, stop; the only place that knows them all |
| `supervisor` | configuration, health, probes, table, notifications: the wiring |
| `writer`, `refusals`, `drift` | the one task that changes the table; its mirror, reading, repair |
| `probes`, `files`, `sessions` | checks and who drives them: engine, watched files, BFD |
| `addresses`, `kernel_settings` | ha_suspend's addresses; timeouts and sync daemons |
| `state_directory`, `remembering` | small files over a restart; health in one of them |
| `guard_clock` | time for slow starts and flap damping |
| `children`, `boundary_scripts` | processes on the engine's launcher |
| `voice`, `logs`, `sinks` | what is said, structlog, and where it goes without ever waiting |
| `dump`, `snapshot`, `dump_files` | state as text and as plain values, into files |
| `pidfile`, `process`, `netns`, `systemd`, `memory` | what a Unix daemon needs |

`cli.daemon` calls `loading.load`, holds the pid files, and runs a `Life`. The supervisor owns the
health states and changes them only in plain functions between two awaits; the writer alone talks
to the dataplane. Failures of our own are log lines and never take a server out.

Standards: keepalived(8), keepalived.conf(5); sd_notify(3); RFC 3164; rtnetlink(7).
"""
