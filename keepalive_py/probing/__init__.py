"""The probing engine: runs the checkers' generators, thousands a second, on one epoll set.

`engine` schedules and tells (`Engine`, `Subscription`), `flight` grants the wishes of one probe,
`wheel` holds what is due, `sockets`, `tls`, `pings`, `crafted` and `children` do the I/O of one kind each,
`trouble` says whose fault an errno is, `limits`, `statistics` and `phase` are what they say.
The daemon calls it from its event loop; `Engine.attach` puts the epoll descriptor and one timer
into that loop, and nothing else: no task, future, timer or log line for each probe.

    engine = Engine(registry=REGISTRY, trouble=log_trouble, resolve=credentials)
    engine.attach(asyncio.get_running_loop())
    subscription = engine.add(check, report, first_in=1.0 + phase(identity, check.warmup))

- `report(verdict, started, ended)` gets each verdict and returns the seconds until the next run,
  from the end of this one (MISC_CHECK: from its start). Runs of a check never overlap.
- `first_in` is due time from now. `suspend`, `resume`, `run_now`, `remove`: as they say.
- Checks that are the same (`Checker.identical`) share one probe at the earliest due time of all;
  who is due within a tenth of its interval is told as well, of a success within half of it.
  Give them one identity for `phase` and they stay together. `share=False` switches it off.
- More than the limits allow waits in due order: late, never lost. `statistics.late` shows it.
- `trouble(reason, text)`: our own trouble, the same at most once a minute. The verdict is then
  Unknown. A bug in a checker (text is its traceback) is caught here and nowhere below.
- `resolve(script)`: who a script runs as. Whether it may run at all is decided elsewhere.
- `engine.ssl_files`: the client certificate of SSL_GET, the top-level `SSL` block.

State: a subscription belongs to the daemon, all else to the engine; one thread. Clocks are
monotonic seconds. Wakes come in steps of 10 ms; a turn does at most 64 starts and 256 events.
Standards: epoll(7), pidfd_open(2), icmp(7), RFC 792, RFC 4443, RFC 8446.
"""

from keepalive_py.probing.children import Credentials, Resolver
from keepalive_py.probing.engine import Engine, Report, Subscription, Trouble
from keepalive_py.probing.limits import Limits
from keepalive_py.probing.phase import phase
from keepalive_py.probing.statistics import Histogram, Statistics

__all__ = [
    "Credentials",
    "Engine",
    "Histogram",
    "Limits",
    "Report",
    "Resolver",
    "Statistics",
    "Subscription",
    "Trouble",
    "phase",
]
