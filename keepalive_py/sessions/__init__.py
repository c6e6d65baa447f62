"""Who is connected through whom: the session table of the node.

`model.py`   one session and what can be asked of many: filter, sort, count (pure)
`proc.py`    /proc/net/ip_vs_conn: every connection IPVS knows, with its state and timeout;
             it does not know FULLNAT's local address (pure: text in, sessions out)
`kernel.py`  reads both tables: ctnetlink gives FULLNAT sessions with all four ends, IPVS
             the others

`pressure.py` how near local addresses are to having no port left (pure)

`keepalive-ctl sessions` and `local-addresses` are the callers. Nothing here keeps state.
Standards: nfnetlink_conntrack.h; the columns of /proc/net/ip_vs_conn.
"""
