"""The control room: an HTTP API by which people and programs look into the daemon and steer it.

| file | what it holds |
|---|---|
| `host` | what the daemon offers us: a Protocol, filled in by `daemon.controlled` |
| `caller` | who asks, and what they may |
| `resource`, `fields` | how a resource is declared: method, path, parameters, body, handler |
| `resources/` | one file each; the list in its `__init__` is the registry |
| `faults` | what was wrong with a request, as JSON |
| `listening` | the unix socket: made at start, served from the first connection on |
| `application` | resources -> aiohttp; the only file that knows it, besides `server` |
| `gate`, `server` | limits on connections and on their patience; start and end |

aiohttp is imported when the first client connects (in a thread, in short turns): a daemon that
nobody asks does not pay for it. A handler gets a `Call` and returns plain values, `Encoded` bytes or
a `Stream`; it never sees HTTP. A mistake in a handler is an answer with status 500 and a log line,
and never more.

Standards: RFC 9112, RFC 9457's spirit for errors, OpenAPI 3.1, the server-sent events of HTML.
"""
