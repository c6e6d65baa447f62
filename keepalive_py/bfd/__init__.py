"""BFD: is the path to a neighbour alive? Our own speaker, for `bfd_instance` and BFD_CHECK.

- `session`: one session's rules, without sockets or clock. It is told of packets and of time
  (`receive`, `wake`), says when it wants to be woken (`next_deadline`) and what to send (`to_send`).
- `sockets`: the sockets that RFC 5881 asks for.
- `speaker`: all sessions of a configuration on an asyncio loop.
- `thread`: a speaker in a thread of its own, because 50 ms of silence end a session.

The daemon owns a `SpeakerThread`, hands it the instances of each new configuration, and is told
the verdict of each session that changes. The speaker owns sessions, sockets and timers. A session
that a new configuration keeps is kept, with its state; one whose intervals changed goes on
through a Poll Sequence.

Ours to decide: packets that wait in the sockets are read before a session is declared down, so
that a busy moment of this process is not taken for a dead neighbour; when the sockets cannot be
opened the verdict is Unknown, which moves no server; a session gets three idle intervals
for its first handshake before it is reported down, so that a restart takes no server out.

Not here: authentication, demand mode of our own, the echo function (keepalived has none either).

Standards: RFC 5880, RFC 5881 (single hop), RFC 5883 (multihop), RFC 5082 (GTSM).
"""

from __future__ import annotations

from keepalive_py.bfd.speaker import Speaker
from keepalive_py.bfd.thread import SpeakerThread

__all__ = ["Speaker", "SpeakerThread"]
