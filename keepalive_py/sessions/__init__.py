"""Who is connected through whom: the session table of the node.

`model.py`   one session and what can be asked of many: filter, sort, count (pure)
`proc.py`    /proc/net/ip_vs_conn and ip_vs: what IPVS knows; of FULLNAT's local addresses it
             knows only on kernels with the FULLNAT patches (pure: text in, sessions out)
`kernel.py`  reads the tables: ctnetlink gives NAT and FULLNAT sessions with all four ends, IPVS
             the others

`pressure.py` how near local addresses are to having no port left (pure)

`keepalive-ctl sessions` and `local-addresses` are the callers, and the daemon, which warns and
knows which local addresses are still in use. Nothing here keeps state.
Standards: nfnetlink_conntrack.h; the columns of /proc/net/ip_vs_conn.
"""
