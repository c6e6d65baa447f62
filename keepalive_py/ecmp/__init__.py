"""Where an ECMP router sends a flow, and what moves when a next hop leaves or joins. Pure.

| file | what it holds |
|---|---|
| `siphash` | SipHash-2-4, which the kernel hashes flows with |
| `linux` | Linux's own choice: net.ipv4.fib_multipath_hash_policy 0 (addresses) and 1 (ports too) |
| `tables` | the two kinds of switches: modulo N, and resilient tables |
| `shares` | how flows are spread, and how many change their next hop |

A switch's own hash function is the vendor's secret; which flow goes where cannot be told for it.
What share of flows moves can: it depends on the table, not on the hash.

Standards: RFC 2992 (ECMP), the SipHash paper (Aumasson and Bernstein, 2012), Linux's
Documentation/networking/ip-sysctl.rst and nexthop resilience (Documentation/networking/
nexthop-group-resilient.rst).
"""
