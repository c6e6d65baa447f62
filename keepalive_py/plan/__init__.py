"""What the kernel's table should hold, and the steps that get it there.

| file | what it holds |
|---|---|
| `table` | the IPVS table as values: service key → service, destinations, local addresses |
| `steps` | one value per command to the dataplane |
| `desired` | model + pools → the wanted table |
| `diff` | wanted table, present table → steps in a safe order |
| `apply` | steps, table → the table after them |

The daemon calls `desired` with the configuration and every virtual server's pool (health), and
`diff` with that and what the dataplane read back, or with its mirror of it, which `apply` keeps.
A verdict moves one virtual server: `desired(..., only=sharing(config)[index])` gives just the
services it has a part in. All values are frozen or never changed after they were made; nobody
owns state here.

Laws (held by tests): `apply(diff(want, have), have) == want`, `diff(x, x) == []`, and no pool with
a usable server (weight > 0) before and after is ever without one in between.

Standards: ip_vs(8) tables as `ipvsadm` shows them, linux/ip_vs.h; keepalived.conf(5) for groups.
"""
