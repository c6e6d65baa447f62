"""A cluster on one machine: network namespaces, real routing daemons, our daemon, and a story.

| file | what it holds |
|---|---|
| `needs` | what this machine lacks for it |
| `namespace` | a network namespace with a thread and an event loop of its own; links |
| `waiting` | wait for a condition, with a limit |
| `live_time` | time during which this machine really ran |
| `servers` | the real servers |
| `traffic` | a client that never stops and remembers |
| `daemons` | keepalive-py as a child |
| `routing` | BIRD and FRR as children, and a watch on the routes they write |
| `cluster` | all of it wired up: a client, two switches with ECMP, nodes, real servers |
| `story` | what happens to the cluster, act by act, and what each act costs the client |
| `holder` | a lab that stays up, and obeys over a socket |

`keepalive-ctl lab` shows it to people; tests/kernel/test_cluster.py asserts the same acts, and other
tests are made of the same parts.

A Namespace owns its thread, event loop and network namespace, and everything made through `call` or
`run` lives in that namespace. Unless it is named, nothing has a name outside the process, so when the
process ends, the kernel takes it all away. Nothing waits for a time to pass, only for a condition with a
limit.
"""
