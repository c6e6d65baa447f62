"""The cases of keepalived's language, blocks and checkers that are easy to get wrong.

Each has the files, the status of `-t` (of keepalived 2.4, seen with 2.2.7 too unless `theirs` says
otherwise) and what must be told, as `code` or `code@line` (line 0: no line). Names of files are
relative to a directory of their own; `main` is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config_corpus import in_check, in_group, in_server, in_service

MAIN = "main"


@dataclass(frozen=True)
class Case:
    """`theirs` is the status of 2.2.7 where that differs, with the `reason`."""

    id: str
    text: str | bytes | None
    status: int
    told: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    executable: bool = False
    theirs: int | None = None
    reason: str = ""

    def __str__(self) -> str:
        return self.id


def case(name: str, text: str | bytes | None, status: int, told: str = "", **more: object) -> Case:
    return Case(name, text, status, tuple(told.split()), **more)  # type: ignore[arg-type]


BASE = in_service("")
PLAIN = """\
virtual_server 10.0.0.1 80
{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 10.0.0.2 80
 {
 }
}
"""
QUOTED = """\
"virtual_server" "10.0.0.1" "80" {
 "lb_algo" "rr"
 "lb_kind" "NAT"
 "protocol" "tcp"
 "real_server" "10.0.0.2" "80" {
 }
}
"""
SHORT = (
    "virtual_server 10.0.0.1 80{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n"
    "real_server 10.0.0.2 80{TCP_CHECK{connect_port 81}}}\n"
)
DEFINED = "$P=80\n$IP=10.0.0.1\n" + BASE.replace("10.0.0.1 80", "$IP ${P}")
MANY_LINES = "$RS=\\\nreal_server 10.0.0.3 80 { \\\nweight 2 \\\n}\n" + in_service("$RS")
UNFINISHED = (
    "virtual_server 10.0.0.1 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.0.0.2 80 { }\n"
)


def defs(body: str) -> str:
    return f"global_defs {{\n{body}\n}}\n"


def including(line: str) -> str:
    return f"{line}\n{BASE}"


EXISTING = {"dir/exists": "# nothing\n", "x.conf": "# nothing\n"}

LANGUAGE = [
    case("L1", None, 0, "configuration-file@0"),
    case("L2", "", 0),
    case("L3", BASE, 0, "configuration-file@0", executable=True),
    case("L4", BASE, 0),
    case("L5", PLAIN, 0),
    case("L6", SHORT, 0),
    case("L7", UNFINISHED.replace("{ }", "\n}"),
         5, "missing-brace@6 unfinished-block@1"),
    case("L8", in_service("LB_ALGO wrr"), 5, "unknown-keyword@5"),
    case("L9", QUOTED, 0),
    case("L10", in_service("delay_loop 5#x\n quorum 1!y"), 0),
    case("L11", BASE.replace("rr\n lb_kind NAT", "rr lb_kind NAT"), 5, "default-used@1"),
    case("L12", in_service("foo 1"), 5, "unknown-keyword@5"),
    case("L13", in_service("foo {\n bar 1\n }"), 5, "unknown-block@5 no-real-server@1"),
    case("L14", UNFINISHED, 5, "missing-brace@1 unfinished-block@1"),
    case("L15", BASE + "}\n", 5, "extra-brace@10"),
    case("L16", defs('router_id "abc'), 5, "unterminated-quote@2 missing-parameter@2"),
    case("L17", defs("router_id a\\#b"), 0),
    case("L18", defs("router_id ${NOPE}"), 5, "undefined-reference@2 stray-brace@2"),
    case("L19", "$P = 80\n" + BASE, 5, "unknown-keyword@1"),
    case("L20", DEFINED, 0),
    case("L21", in_service("~SEQ(i,3,5) real_server 10.0.0.$i 80 { }"), 0),
    case("L22", in_service("~SEQ(i,1,0,4) foo"), 5, "bad-sequence@5"),
    case("L23", in_service("~LST({a,p},{10.0.0.4,80},{10.0.0.3,81}) real_server ${a} ${p} { }"), 0),
    case("L24", in_service("~SEQ(N,0) real_server 10.0.1.$N 80 { }"), 0),
    case("L25", MANY_LINES, 0),
    case("L26", in_service("@abc foo 1\n @^abc delay_loop 7"), 0),
    case("L27", in_service("@!abc foo 1"), 0),
    case("L28", including('include "x.conf"'), 0, "include-missing@1", files=EXISTING),
    case("L29", including("include dir/nomatch*.conf"), 0, files=EXISTING),
    case("L30", including("include dir/{zz,yy}.nope"), 0, "include-missing@1", files=EXISTING),
    case("L31m", including("includem missing"), 6, "include-missing@1"),
    case("L31w", including("includew nomatch*"), 6, "include-missing@1"),
    case("L31b", including("includeb dir/{exists,missing}"), 6, "include-missing@1", files=EXISTING),
    case("L31a", including("includea dir/{exists,missing}"), 6, "include-missing@1", files=EXISTING),
    case("L32", defs("include_check match") + "include missing\n", 6, "include-missing@4"),
    case("L33", defs("include_check match wildcard_match"), 5, "unknown-choice@2"),
    case("L34", defs("include_check readable"), 5, "unknown-choice@2"),
    case("L35", including("include dir"), 0, "include-unreadable@1", files=EXISTING),
    case("L35r", including("includer dir"), 6, "include-unreadable@1", files=EXISTING),
    case("L36", in_service("delay_loop"), 2, "missing-parameter@5"),
    case("L37", defs("router_id a") + defs("lvs_flush"), 0),
    case("L38", BASE.replace("\n", "\r\n"), 0),
    case("L39", in_service("delay_loop 5\0").encode(), 5, "nul-byte@5", theirs=0, reason="version"),
    case("L40", in_server("weight 5abc"), 5, "bad-number@7"),
]  # fmt: skip


def head(words: str, body: str = "", server: str = "10.0.0.2 80", kind: str = "NAT") -> str:
    return (
        f"virtual_server {words} {{\nlb_algo rr\nlb_kind {kind}\nprotocol TCP\n{body}\n"
        f"real_server {server} {{ }}\n}}\n"
    )


def marked(body: str = "", server: str = "10.0.0.2 80", kind: str = "NAT") -> str:
    return head("fwmark 3", body, server, kind).replace("protocol TCP\n", "", 1)


ALONE = "virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n}\n"
BARE = "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 { }\n}\n"
GROUP_LINES = """\
10.0.0.1 80-90
10.0.0.5-5 80
10.0.1.1/30 80
10.0.0.1:80
fwmark 3 inet7
10.0.1.0/30 80
10.0.0.9 80 extra"""
SECURED = "global_defs {\nenable_script_security\nscript_user root\n}\n"

SERVERS = [
    case("S1", ALONE, 5, "no-real-server@1"),
    case("S2", BARE, 5, "default-used@1 default-used@1 default-used@1"),
    case("S3", head("10.0.0.1"), 5, "port-zero@1"),
    case("S4", head("10.0.0.1 0", "persistence_timeout 100"), 0),
    case("S5 port", head("10.0.0.1 70000"), 5, "bad-number@1"),
    case("S5 name", head("www.example.org 80"), 5, "bad-address@1"),
    case("S6", head("10.0.0.1-5 80"), 0, "ignored-range@1"),
    case("S7", head(""), 2, "missing-parameter@1"),
    case("S8 group", "virtual_server group {\n}\n", 2, "missing-parameter@1", theirs=139, reason="crash"),
    case("S8 fwmark", "virtual_server fwmark {\n}\n", 2, "missing-parameter@1", theirs=139, reason="crash"),
    case("S9", in_service("delay_loop 0"), 5, "bad-number@5"),
    case("S10", in_service("delay_loop 0.0000001"), 5, "bad-number@5"),
    case("S11 service", in_service("retry 0"), 5, "bad-number@5"),
    case("S11 server", in_server("retry 0"), 5, "bad-number@7"),
    case("S11 check", in_check("TCP_CHECK", "retry 0"), 0),
    case("S12 0", in_service("persistence_timeout 0"), 5, "bad-number@5"),
    case("S12 2678401", in_service("persistence_timeout 2678401"), 5, "bad-number@5"),
    case("S12", in_service("persistence_timeout"), 0),
    case("S13", in_service("persistence_granularity 24"), 0, "granularity-not-dotted@5"),
    case("S14", in_service("quorum 0"), 5, "bad-number@5"),
    case("S15", in_service("quorum 5"), 5, "quorum@5"),
    case("S16", in_service("quorum 1\n hysteresis 1"), 5, "hysteresis@6"),
    case("S17 -1", in_server("weight -1"), 5, "bad-number@7"),
    case("S17 2^31", in_server("weight 2147483648"), 5, "bad-number@7"),
    case("S17", in_server("weight 2147483647"), 0),
    case("S18", in_service("weight 0"), 5, "bad-number@5"),
    case("S19", in_server("weight 0"), 5, "quorum@1"),
    case("S20", BASE.replace("lb_kind NAT", "lb_kind nat"), 5, "unknown-choice@3 default-used@1"),
    case("S21", BASE.replace("lb_algo rr", "lb_algo foo"), 5, "unknown-choice@2 default-used@1"),
    case("S22", in_service("lvs_method TUN type gue"), 5, "bad-value@5"),
    case("S22 port", in_service("lvs_method TUN type gue port 6080 csum"), 0),
    case("S23", in_service("real_server 10.0.0.2 80 { }"), 5, "duplicate@6"),
    case("S23 port", in_service("real_server 10.0.0.2 { }"), 0, "duplicate@6"),
    case("S24", BASE + BASE, 0),
    case("S25", in_service("real_server fd00::2 80 { }"), 5, "family@5"),
    case("S26", head("10.0.0.1 80", server="10.0.0.2 8080", kind="DR"), 5, "ports-differ@6"),
    case("S27", marked(kind="DR"), 5, "fwmark-port@5"),
    case("S28", marked("protocol TCP"), 5, "fwmark-protocol@4"),
    case("S29", in_service("ops"), 5, "ops@5"),
    case("S30", in_service("alpha off"), 0, "ignored-argument@5"),
    case("S31", in_server("lb_kind NAT"), 5, "unknown-keyword@7"),
    case("S32", in_server("alpha maybe"), 5, "bad-value@7"),
    case("S33", BASE.replace("lb_algo rr", "sh-port\nlb_algo sh"), 5, "order@2"),
    case("S34", in_service("sorry_server_inhibit\n sorry_server 10.0.0.9 80"), 5, "order@5"),
    case("S34 two", in_service("sorry_server 10.0.0.9 80\n sorry_server 10.0.0.8 80"), 0),
    case("S35", SECURED + in_server("notify_up /usr/bin/true\n notify_up /usr/bin/false"), 5, "repeated@12"),
    case("S36", in_server("notify_up /usr/bin/true"), 6, "script-security@7"),
    case("S37", SECURED + in_server("notify_up /usr/bin/true"), 0),
    case("S38", in_group(GROUP_LINES), 5, "bad-number@2 bad-range@3 bad-range@4 bad-address@5 bad-value@6"),
    case("S39", in_group(""), 5, "empty-group@1 unknown-group@4"),
    case("S40", head("group nowhere"), 0, "unknown-group@1"),
    case("S41", "virtual_server_group {\n10.0.0.1 80\n}\n", 2, "missing-parameter@1"),
    case("S42", "SSL {\nca /a\n}\nSSL {\nca /b\n}\n", 5, "repeated@4"),
    case("S43", defs("notification_email_from a b"), 5, "extra-words@2", theirs=0, reason="version"),
    case("S44", defs("lvs_flush_on_stop all"), 5, "unknown-choice@2"),
    case("S45", defs("smtp_connect_timeout 0"), 5, "bad-value@2"),
]


TRACKED = "track_file t {\nfile /tmp/t\n}\n"


def url(body: str) -> str:
    return in_check("HTTP_GET", f"url {{\npath /\n{body}\n}}")


CHECKERS = [
    case("C1", in_check("HTTP_GET", ""), 5, "check-without-url@7 no-check-left@6",
         theirs=139, reason="crash"),
    case("C2", in_check("HTTP_GET", "url {\n}"), 5, "url-without-path@8 check-without-url@7 no-check-left@6",
         theirs=139, reason="crash"),
    case("C3 list", url("status_code 200,201"), 5, "bad-number@10"),
    case("C3 99", url("status_code 99"), 5, "bad-number@10"),
    case("C3", url("status_code 200 301-302 404"), 0),
    case("C4", url("digest abc"), 5, "bad-digest@10"),
    case("C5", in_check("HTTP_GET", "http_protocol 2\nurl {\npath /\n}"), 5, "unknown-choice@8"),
    case("C6", in_check("HTTP_GET", "tls_compliant\nurl {\npath /\n}"), 5, "unknown-keyword@8"),
    case("C7", in_check("HTTP_GET", "nb_get_retry 3\nurl {\npath /\n}"), 5, "deprecated@8"),
    case("C8", url("regex_options caseless nosuch"), 0, "unknown-choice@10"),
    case("C9", in_check("MISC_CHECK", ""), 5, "check-without-command@7 no-check-left@6"),
    case("C10", SECURED + in_check("MISC_CHECK", "misc_path /usr/bin/true a b"), 0),
    case("C11", SECURED + in_check("MISC_CHECK", "misc_path /usr/bin/true\nuser nosuchuser"), 5,
         "unknown-account@13 no-check-left@10"),
    case("C12", in_check("UDP_CHECK", "payload 0g"), 5, "bad-hex@8"),
    case("C13", in_check("UDP_CHECK", "min_reply_length 5\nmax_reply_length 2"), 5, "bad-range@8"),
    case("C14 name", in_check("DNS_CHECK", "name .a"), 5, "bad-domain-name@8"),
    case("C14 ANY", in_check("DNS_CHECK", "type ANY"), 5, "unknown-choice@8"),
    case("C14", in_check("DNS_CHECK", "type aaaa"), 0),
    case("C15", TRACKED + in_check("FILE_CHECK", "track_file t\nweight 1 dynamic"), 5,
         "bad-value@12"),
    case("C16", in_check("FILE_CHECK", "track_file t") + TRACKED, 5,
         "unknown-track-file@8 no-check-left@6"),
    case("C17", in_check("BFD_CHECK", "name nowhere"), 5, "unknown-bfd-instance@8 no-check-left@6"),
    case("C18", in_check("TCP_CHECK", "connect_ip fe80::1"), 5, "no-bind-if@7 no-check-left@6"),
    case("C19", in_check("TCP_CHECK", "bindto fd00::9"), 5, "bad-value@8"),
]  # fmt: skip

CASES = [*LANGUAGE, *SERVERS, *CHECKERS]

NOBODY = "script_user nosuch"


def misc(path: str) -> str:
    return in_check("MISC_CHECK", f"misc_path {path}")


# What -t says of the host: statuses only, for a host without the accounts `nosuch` and `keepalived_script`.
HOST = [
    case("script", misc("/bin/true"), 6),
    case("script in PATH", misc("true"), 6),
    case("no such script", misc("/nonexistent"), 0),
    case("no such command", misc("nosuchcommand"), 0),
    case("a file to open", misc('"</dev/null"'), 0),
    case("a directory", misc("/usr/bin"), 6),
    case("not executable", misc("/etc/passwd"), 6),
    case(
        "not executable, security",
        defs("enable_script_security") + in_server("notify_up /etc/passwd root"),
        0,
    ),
    case("directory in quorum_up", in_service("quorum_up /usr/bin"), 6),
    case("directory of VRRP", "vrrp_instance V {\nnotify_master /usr/bin\n}\n" + BASE, 6),
    case("script_user", defs(NOBODY) + BASE, 5),
    case("script_user, group", defs("script_user root nosuch") + BASE, 5),
    case("script_user, check", defs(NOBODY) + misc("/bin/true"), 5),
    case("script_user, notify", defs(NOBODY) + in_server("notify_up /bin/true"), 5),
    case("user of startup_script", defs("startup_script /bin/true nosuch") + BASE, 5),
    case("user of notify_up", in_server("notify_up /bin/true nosuch"), 0),
    case("script of VRRP", "vrrp_instance V {\nnotify_master /bin/true root\n}\n" + BASE, 6),
    case("user of quorum_up", in_service("quorum_up /bin/true nosuch"), 0),
    case("user of a FIFO's script", defs("lvs_notify_fifo_script /bin/true nosuch") + BASE, 0),
    case("no default user, check", defs("enable_script_security") + misc("/bin/true"), 5),
    case("no default user, notify", defs("enable_script_security") + in_server("notify_up /nonexistent"), 5),
    case(
        "no default user, VRRP",
        defs("enable_script_security") + "vrrp_instance V {\nnotify_master /bin/true\n}\n" + BASE,
        5,
    ),
    case("no default user needed", defs("enable_script_security") + in_server("notify_up /bin/true root"), 0),
]
