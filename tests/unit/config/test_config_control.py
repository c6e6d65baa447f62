"""The blocks `control` and `webhook`."""

from __future__ import annotations

import pytest
from strategies import loaded

from keepalive_py.config.build import Loaded
from keepalive_py.config.control import ControlApi, Webhook
from keepalive_py.config.writer import write

GOOD = """
control {
    listen 192.0.2.1:9443
    certificate /c
    key /k
    tokens /t
}
webhook chat {
    url https://hooks.example.org/lb
    event server_down
    event quorum_lost
    header "Authorization: Bearer abc"
    timeout 2
}
webhook other {
    url http://127.0.0.1:8080
}
"""


def test_the_blocks_and_back() -> None:
    config = loaded(GOOD).config
    assert config is not None
    (api,) = config.extensions["control"]
    assert isinstance(api, ControlApi)
    assert (str(api.listen), api.certificate, api.key, api.tokens) == ("192.0.2.1:9443", "/c", "/k", "/t")
    chat, other = config.extensions["webhook"]
    assert isinstance(chat, Webhook)
    assert (chat.name, chat.events, chat.timeout) == ("chat", ("server_down", "quorum_lost"), 2.0)
    assert isinstance(other, Webhook)
    assert (other.name, other.events, other.retry) == ("other", (), 300.0)
    again = loaded(write(config)).config
    assert again is not None
    assert again.extensions == config.extensions


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("listen 192.0.2.1:9443\ncertificate /c", "no-tokens"),
        ("listen 127.0.0.1:9443", "no-tokens"),
        ("listen 192.0.2.1:9443\ntokens /t", "no-certificate"),
        ("listen [2001:db8::1]:9443\ntokens /t", "no-certificate"),
        ("tokens /t", "no-listen"),
        ("listen nonsense\ntokens /t", "bad-value"),
        ("listen 192.0.2.1:99999\ntokens /t", None),
    ],
)
def test_what_is_not_opened(lines: str, code: str | None) -> None:
    answer = loaded(f"control {{\n{lines}\n}}\n")
    assert answer.config is not None
    assert not answer.config.extensions.get("control")
    assert codes(answer)
    assert code is None or code in codes(answer)


@pytest.mark.parametrize("where", ["127.0.0.1:9443", "127.0.0.1 9443", "[::1]:9443"])
def test_loopback_needs_no_certificate(where: str) -> None:
    answer = loaded(f"control {{\nlisten {where}\ntokens /t\n}}\n")
    assert answer.config is not None
    assert answer.config.extensions["control"]
    assert not codes(answer)


@pytest.mark.parametrize(
    "line", ["", "url ftp://x", "url http://", "url nonsense", 'url http://x\nheader "bad"']
)
def test_webhooks_that_are_left_out(line: str) -> None:
    answer = loaded(f"webhook a {{\n{line}\n}}\n")
    assert answer.config is not None
    assert not answer.config.extensions.get("webhook")
    assert codes(answer)


def codes(answer: Loaded) -> list[str]:
    return [each.code for each in answer.diagnostics if each.code != "own-keyword"]
