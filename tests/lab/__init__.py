"""The test lab: network namespaces, scripted servers, traffic and daemons.

Files: `waiting` (wait for a condition, with a limit), `namespace` (a namespace with a
thread of its own, links), `topology` (client, node and real servers on one segment),
`servers` (servers that do as told and count), `traffic` (a client that never stops and
remembers), `table` (what ipvsadm says, in one form), `daemons` (keepalive-py and real
keepalived behind one interface), `preload` (many keepalive-py from one interpreter).

Who calls: tests/kernel and tests/differential, as root in the kernel that
tests/kernel/boot starts; most of it works on any Linux with root.

Who owns state: a Namespace owns its thread, event loop and network namespace, and
everything made through `call` or `run` lives in that namespace: sockets, child processes,
files under /proc/sys/net. Nothing has a name outside the process, so when the process
ends, the kernel takes it all away.

A test waits for a condition with a limit, never for a time.
"""
