"""Hypothesis strategies for configurations.

Text is made from the declarations of the language, so a new keyword is tried without a line
here; models are what the text is read as, so every one of them can be reached. What the tests
of other rooms want are `configs`, `virtual_servers` and `real_servers`.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import strategies as st

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.file import SignedWeight
from keepalive_py.config import global_kinds, kinds
from keepalive_py.config.bfd_instance import BfdInstance, Milliseconds
from keepalive_py.config.build import Loaded, load
from keepalive_py.config.elsewhere import NotHere
from keepalive_py.config.forwarding import Forwarding, Method, MethodKind, Tunnel, TunnelChecksum, TunnelType
from keepalive_py.config.global_defs import GlobalDefs
from keepalive_py.config.model import Config, RealServer, VirtualServer
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.real_server import ServerHead
from keepalive_py.config.schema import Custom, Keyword, Kind, keywords_of
from keepalive_py.config.source import Documents
from keepalive_py.config.ssl import SslFiles
from keepalive_py.config.track_file import InitLine, TrackFile, WeightLine
from keepalive_py.config.virtual_server import GranularityKind, PersistenceKind
from keepalive_py.config.virtual_server_group import GroupMember, LocalLine, MemberLine
from keepalive_py.net import AddressRange, Endpoint, Family

MAIN = "keepalived.conf"


def loaded(text: str | bytes, side: str | None = None) -> Loaded:
    """`text` as the main file, `side` as the side file."""
    texts = {MAIN: text} if side is None else {MAIN: text, "keepalive_py.conf": side}
    return load(MAIN, Documents(texts), ReadOptions(config_id="here"), REGISTRY)


# words

BARE = st.text("abcXYZ019._-/:+,=%", min_size=1, max_size=12)
NAMES = st.text("abcdefgh0123456789", min_size=1, max_size=8)
QUOTABLE = st.text("ab {}#!~@$é'\udcff", min_size=1, max_size=12).filter(lambda text: text.strip() == text)
WORDS = st.one_of(BARE, BARE, QUOTABLE)
COMMANDS = st.one_of(BARE, st.lists(BARE, min_size=1, max_size=3).map(" ".join), st.just("/x 'a b' c\\ d"))

ADDRESSES = st.one_of(
    st.integers(1, 2**32 - 2).map(IPv4Address),
    st.integers(1, 2**64).map(lambda n: IPv6Address((0xFD << 120) | n)),
)
ENDPOINTS = st.builds(Endpoint, ADDRESSES, st.integers(0, 65535))
CHECKSUMS = [TunnelChecksum.NOCSUM, TunnelChecksum.CSUM, TunnelChecksum.REMCSUM]
TUNNELS = st.one_of(
    st.just(Tunnel()),
    st.builds(Tunnel, st.just(TunnelType.GUE), st.integers(1, 65535), st.sampled_from(CHECKSUMS)),
    st.builds(Tunnel, st.just(TunnelType.GRE), st.just(0), st.sampled_from(CHECKSUMS[:2])),
)
METHODS = st.builds(Method, st.sampled_from(Forwarding), TUNNELS)


def seconds(low: float, high: float) -> st.SearchStrategy[float]:
    lowest, highest = max(1, round(low * 1_000_000)), round(min(high, 4000) * 1_000_000)
    tidy = st.integers(0, 100).map(float).filter(lambda value: low <= value <= high)
    return tidy | st.integers(lowest, highest).map(lambda micros: round(micros / 1_000_000, 6))


@st.composite
def ranges(draw: st.DrawFn) -> AddressRange:
    first = draw(ADDRESSES)
    most = (1 << first.max_prefixlen) - 1
    return AddressRange(first, type(first)(min(int(first) + draw(st.integers(0, 300)), most)))


@st.composite
def sync_daemons(draw: st.DrawFn) -> global_kinds.LvsSyncDaemon:
    return global_kinds.LvsSyncDaemon(
        draw(NAMES),
        draw(st.none() | NAMES.map("vi{}".format)),
        draw(st.integers(0, 255)),
        draw(st.integers(0, 65507)),
        draw(st.integers(0, 65535)),
        draw(st.integers(0, 255)),
        draw(st.none() | st.just(IPv4Address("239.1.2.3"))),
    )


Values = Callable[[Any], st.SearchStrategy[Any]]
STATUS_CODES = st.lists(st.integers(100, 599), min_size=2, max_size=6).map(
    lambda codes: kinds.joined(
        [(min(pair), max(pair)) for pair in zip(codes[::2], codes[1::2], strict=False)]
    )
)
BY_KIND: dict[type[Kind], Values] = {
    kinds.Integer: lambda kind: (
        st.integers(kind.low, kind.high) | st.integers(max(kind.low, 0), min(kind.high, 9))
    ),
    kinds.Seconds: lambda kind: seconds(kind.low, kind.high),
    Milliseconds: lambda kind: st.integers(kind.low, 4294967).map(lambda ms: round(ms / 1000, 6)),
    kinds.Switch: lambda kind: st.booleans(),
    kinds.Flag: lambda kind: st.just(True),
    kinds.Word: lambda kind: NAMES if kind.limit else WORDS,
    kinds.Text: lambda kind: WORDS,
    kinds.Choice: lambda kind: st.sampled_from(list(kind.values.values())),
    kinds.IpAddress: lambda kind: ADDRESSES,
    kinds.Interface: lambda kind: NAMES,
    kinds.Account: lambda kind: st.tuples(NAMES, st.none() | NAMES),
    kinds.Names: lambda kind: st.frozensets(st.sampled_from(sorted(kind.known)), max_size=4),
    kinds.StatusCodes: lambda kind: STATUS_CODES,
    kinds.Digest: lambda kind: st.binary(min_size=16, max_size=16),
    kinds.HexBytes: lambda kind: st.binary(min_size=1, max_size=9),
    kinds.HexPattern: lambda kind: hex_patterns(),
    kinds.ScriptLine: lambda kind: scripts(kind.account),
    kinds.RegexLine: lambda kind: st.text("ab.*\"'\\$#{}()é \x01", min_size=1, max_size=9),
    kinds.LogOnly: lambda kind: values(kind.kind),
    MethodKind: lambda kind: METHODS,
    ServerHead: lambda kind: ENDPOINTS,
    GranularityKind: lambda kind: st.just("255.255.0.0"),
    PersistenceKind: lambda kind: st.integers(1, 2678400),
    WeightLine: lambda kind: st.tuples(st.integers(-kind.limit, kind.limit), st.booleans()),
    SignedWeight: lambda kind: st.tuples(st.integers(-9, 9), st.sampled_from([None, True, False])),
    InitLine: lambda kind: st.tuples(st.integers(-254, 254), st.booleans()),
    NotHere: lambda kind: BARE,
    MemberLine: lambda kind: members(),
    LocalLine: lambda kind: ranges(),
    global_kinds.Cpus: lambda kind: st.lists(st.integers(0, 99), min_size=1, max_size=3).map(tuple),
    global_kinds.HostPort: lambda kind: st.tuples(NAMES | ADDRESSES.map(str), st.integers(1, 65535)),
    global_kinds.FifoLine: lambda kind: st.tuples(BARE, st.none() | NAMES, st.none()),
    global_kinds.FlushKind: lambda kind: st.sampled_from(global_kinds.LvsFlushOnStop),
    global_kinds.OptionalNumber: lambda kind: st.integers(kind.low, kind.high),
    global_kinds.OptionalWord: lambda kind: NAMES,
    global_kinds.SyncDaemonLine: lambda kind: sync_daemons(),
    global_kinds.TimeoutsLine: lambda kind: st.builds(
        global_kinds.LvsTimeouts, *[st.integers(0, 2678400)] * 3
    ),
    global_kinds.UmaskKind: lambda kind: st.integers(0, 0o777),
}


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a kind, that its `write` can spell."""
    return BY_KIND[type(kind)](kind)


def scripts(account: bool) -> st.SearchStrategy[kinds.Script]:
    users = st.none() | NAMES if account else st.none()
    return st.builds(kinds.Script, st.just(()), COMMANDS, users)


def members() -> st.SearchStrategy[GroupMember]:
    addressed = st.builds(GroupMember, ranges(), st.integers(0, 65535))
    marked = st.builds(
        GroupMember, st.none(), st.just(0), st.integers(1, 2**32 - 1), st.none() | st.sampled_from(Family)
    )
    return st.one_of(addressed, addressed, marked)


def hex_patterns() -> st.SearchStrategy[tuple[bytes, bytes]]:
    masks = st.lists(st.sampled_from([0, 0x0F, 0xF0, 0xFF]), min_size=1, max_size=5).map(bytes)
    return masks.flatmap(
        lambda mask: st.binary(min_size=len(mask), max_size=len(mask)).map(
            lambda data: (bytes(b & m for b, m in zip(data, mask, strict=True)), mask)
        )
    )


# text

NOT_HERE = {"net_namespace", "include_check"}
SPELT: dict[str, st.SearchStrategy[str]] = {
    "persistence_granularity": st.sampled_from(["255.255.255.0", "64", "24", "0.0.0.0"]),
    "json_version": st.sampled_from(["1", "2"]),
    "name": st.sampled_from(["example.org", ".", "b"]),
    "track_file": st.sampled_from(["tf", "other"]),
    "notification_email_from": st.sampled_from(["a@b", '"A B <a@b>"']),
    "regex_stack": st.just("10 20"),
}


@st.composite
def lines_of(draw: st.DrawFn, keyword: Keyword) -> list[str]:
    """The line of a keyword, or its lines when it opens a block."""
    kind = keyword.kind
    name = draw(st.sampled_from([keyword.name, *keyword.aliases]))
    if isinstance(kind, kinds.Block):
        return [f"{name} {{", *draw(block_lines(kind.block)), "}"]
    if isinstance(kind, kinds.Lines):
        return [f"{name} {{", *draw(st.lists(BARE, min_size=1, max_size=3)), "}"]
    if name in SPELT:
        return [f"{name} {draw(SPELT[name])}"]
    assert not isinstance(kind, Custom), name
    return [f"{name} {kind.write(draw(values(kind)))}".rstrip()]


def spelt(keyword: Keyword) -> bool:
    """Whether there is a way here to make values of it; other rooms add kinds of their own."""
    nested = isinstance(keyword.kind, (kinds.Block, kinds.Lines))
    return nested or keyword.name in SPELT or type(keyword.kind) in BY_KIND


@st.composite
def block_lines(draw: st.DrawFn, block: type, most: int = 6) -> list[str]:
    """Some keywords of a block, in any order, even twice."""
    known = [
        keyword
        for keyword in keywords_of(block)
        if keyword.name not in NOT_HERE
        and keyword.name not in getattr(block, "WITHOUT", ())
        and spelt(keyword)
    ]
    must = [
        keyword for keyword in known if keyword.name in ("url", "path", "misc_path", "file", "neighbor_ip")
    ]
    chosen = draw(st.lists(st.sampled_from(known), max_size=most)) if known else []
    return [line for keyword in (*must, *chosen) for line in draw(lines_of(keyword))]


@st.composite
def check_lines(draw: st.DrawFn) -> list[str]:
    kind = draw(st.sampled_from(sorted(REGISTRY)))
    return [f"{kind} {{", *draw(block_lines(REGISTRY[kind].config, 4)), "}"]


@st.composite
def real_server_lines(draw: st.DrawFn, addresses: st.SearchStrategy[Any] = ADDRESSES) -> list[str]:
    head = ServerHead().write(Endpoint(draw(addresses), draw(st.sampled_from([0, 80, 8080]))))
    inner = draw(block_lines(RealServer, 4))
    for check in draw(st.lists(check_lines(), max_size=2)):
        inner += check
    return [f"real_server {head} {{", *inner, "}"]


def without_servers(block: type) -> st.SearchStrategy[list[str]]:
    return block_lines(block, 8).filter(
        lambda lines: not any(line.startswith("real_server") for line in lines)
    )


@st.composite
def virtual_server_lines(draw: st.DrawFn) -> list[str]:
    head = draw(
        st.one_of(
            ENDPOINTS.map(ServerHead().write),
            st.integers(1, 2**32 - 1).map("fwmark {}".format),
            st.sampled_from(["group g", "group h"]),
        )
    )
    version = draw(st.sampled_from([4, 6]))
    addresses = ADDRESSES.filter(lambda address: address.version == version)
    inner = draw(without_servers(VirtualServer))
    for server in draw(st.lists(real_server_lines(addresses), min_size=1, max_size=3)):
        inner += server
    return [f"virtual_server {head} {{", *inner, "}"]


KEPT = """
vrrp_instance V {
    state MASTER
    notify "/x a"
    virtual_ipaddress {
        192.0.2.1/24 dev eth0 label "a#b"
    }
}
linkbeat_use_polling MII
""".strip().splitlines()


@st.composite
def config_texts(draw: st.DrawFn) -> str:
    """The text of a configuration that is well formed, though its values need not fit."""
    lines: list[str] = []
    lines += draw(
        st.sampled_from([[], ["net_namespace blue"], ["instance a", "use_pid_dir"], ["child_wait_time 7"]])
    )
    for _ in range(draw(st.integers(0, 2))):
        lines += ["global_defs {", *draw(block_lines(GlobalDefs, 10)), "}"]
    lines += draw(st.just([]) | block_lines(SslFiles).map(lambda inner: ["SSL {", *inner, "}"]))
    lines += draw(st.sampled_from([[], [], KEPT]))
    lines += ["track_file tf {", *draw(block_lines(TrackFile)), "}"]
    lines += ["bfd_instance b {", *draw(block_lines(BfdInstance)), "}"]
    entries = draw(st.lists(members().map(MemberLine().write), min_size=1, max_size=3))
    lines += ["virtual_server_group g {", *entries, "}"]
    entries = draw(st.lists(ranges().map(LocalLine().write), min_size=1, max_size=2))
    lines += ["local_address_group l {", *entries, "}"]
    for service in draw(st.lists(virtual_server_lines(), max_size=3)):
        lines += service
    return "\n".join(lines) + "\n"


# models


def _config(text: str) -> Config | None:
    return loaded(text).config


def configs() -> st.SearchStrategy[Config]:
    """Whole configurations."""
    return config_texts().map(_config).filter(lambda config: config is not None)  # type: ignore[return-value]


def virtual_servers() -> st.SearchStrategy[VirtualServer]:
    """Virtual servers, each with at least one real server."""
    some = configs().filter(lambda config: bool(config.virtual_servers))
    return some.flatmap(lambda config: st.sampled_from(config.virtual_servers))


def real_servers() -> st.SearchStrategy[RealServer]:
    return virtual_servers().flatmap(lambda service: st.sampled_from(service.real_servers))
