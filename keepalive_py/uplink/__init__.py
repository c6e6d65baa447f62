"""The ways out of this node: what is seen of each, and what that comes to. Pure.

| file | what it holds |
|---|---|
| `state` | link, carrier, neighbour, BGP session and BFD of an uplink, and the state they make |

Whoever watches the kernel (`announcer.rtnetlink`) and asks the routing daemon hands in what was
found. A link that is down takes the uplink down. A BGP session that is down only degrades it:
while the routing daemon restarts, addresses stay where they are, and are exported again as soon as
it is back. A bond is one uplink: the kernel's bonding driver chooses the member.
"""
