"""Configurations out of templates: what is rendered, and where mistakes are found."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from keepalive_py.cli.ctl import main
from keepalive_py.cli.given import SHIPPED
from keepalive_py.config.diagnostics import Severity, exit_status
from keepalive_py.config.render import position
from keepalive_py.daemon.loading import Ready, load
from keepalive_py.daemon.options import Options
from keepalive_py.sources import template as templates
from keepalive_py.sources.template import Rendered, rendered

Write = Callable[[str, str], str]
SERVICE = """\
{% for server in servers %}
virtual_server {{ server }} 80 {
    lb_algo {{ algo }}
    lb_kind NAT
    protocol TCP
    real_server 192.0.2.1 80 {
        TCP_CHECK {
        }
    }
}
{% endfor %}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return written


def made(write: Write, template: str, values: str = "", name: str = "v.yaml") -> Rendered:
    return rendered(write("lb.conf.j2", template), write(name, values), "lb1")


def loaded(write: Write, template: str, values: str = "") -> Ready:
    files = {"template": write("lb.conf.j2", template), "values": write("v.yaml", values)}
    return load(Options(config_id="lb1", **files))


def test_values_and_the_node(write: Write) -> None:
    assert made(write, "{{ node }} {{ a.b[1] }}\n", "a: {b: [1, 2]}").text == "lb1 2\n"
    assert made(write, "{{ a.b[1] }}", '{"a": {"b": [1, 3]}}', "v.json").text == "3"
    assert made(write, "plain", "").text == "plain"


@pytest.mark.parametrize(
    ("template", "values", "place", "summary"),
    [
        ("a\n{{ missing }}", "", "lb.conf.j2:2", "'missing' is undefined"),
        ("a\n\n{{ a.b }}", "a: {}", "lb.conf.j2:3", "'dict object' has no attribute 'b'"),
        ("a\n{% if %}", "", "lb.conf.j2:2", "Expected an expression"),
        ("{% for x in y %}", "y: []", "lb.conf.j2:1", "Unexpected end of template"),
        ("{{ 1 // a }}", "a: 0", "lb.conf.j2:1", "ZeroDivisionError"),
        ("a\n{% include 'no.j2' %}", "", "lb.conf.j2:2", "there is no template no.j2"),
        ("{% include '../etc/passwd' %}", "", "lb.conf.j2:1", "there is no template"),
        ("{{ ''.__class__.__mro__ }}", "", "lb.conf.j2:1", "unsafe"),
        ("x", "a: 1\na: 2", "v.yaml:2", "`a` is there twice"),
        ("x\n{{ a }}", 'a: "\\ud800"', "lb.conf.j2:2", "makes U+D800, which is no character"),
        ("x", "a: [1", "v.yaml:1", "is not YAML"),
        ("x", "a: 1\nsince: 2026-02-30\n", "v.yaml:2:8", "this is no timestamp"),
        ("x", "a: !!int x\n", "v.yaml:1:4", "this is no int"),
        ("x", f"a: {'1' * 5000}\n", "v.yaml:1:4", "this is no int"),
        ("x", "- 1", "v.yaml:1", "values must be names"),
    ],
)
def test_mistakes_have_their_place(
    template: str, values: str, place: str, summary: str, write: Write
) -> None:
    trouble = made(write, template, values).trouble
    assert trouble is not None
    assert summary in trouble.summary
    where = position(trouble.subject) if trouble.subject is not None else ""
    assert place in where


def test_a_template_that_is_no_text(write: Write, tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_bytes(b"a\xff")
    rendering = made(write, "x\n{% include 'part.j2' %}")
    assert rendering.trouble is not None
    assert rendering.trouble.summary == f"{tmp_path}/part.j2: is not UTF-8 at byte 1"
    assert str(tmp_path / "part.j2") in rendering.files


@pytest.mark.parametrize(
    "endless",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    ],
)
def test_a_template_that_does_not_end(endless: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "PATIENCE", 0.1)
    trouble = made(write, f"a\n{endless}").trouble
    assert trouble is not None
    assert trouble.summary == "takes more than 0.1 s"
    assert trouble.subject is not None
    assert trouble.subject.line == 2


def test_mistakes_in_json(write: Write) -> None:
    trouble = made(write, "x", '{"a": 1,\n}', "v.json").trouble
    assert trouble is not None
    assert trouble.subject is not None
    assert (trouble.subject.file.endswith("v.json"), trouble.subject.line) == (True, 2)
    twice = made(write, "x", '{"a": 1,\n "a": 2}', "v.json").trouble
    assert twice is not None
    assert twice.summary == "`a` is there twice"
    assert twice.subject is not None
    assert (twice.subject.line, twice.subject.column) == (2, 2)
    long = made(write, "x", f'{{"a": {"1" * 5000}}}', "v.json").trouble
    assert long is not None
    assert "is not JSON: Exceeds the limit" in long.summary


def test_a_mistake_in_the_text_is_told_at_the_template(write: Write, tmp_path: Path) -> None:
    ready = loaded(write, SERVICE, "servers: [10.0.0.1, 10.0.0.2]\nalgo: rx\n")
    found = [each for each in ready.diagnostics if "`rx`" in each.summary]
    places = [(each.subject.file, each.subject.line, each.subject.column) for each in found if each.subject]
    assert places == [(str(tmp_path / "lb.conf.j2"), 3, 5)] * 2
    assert [each.notes[-1] for each in found] == [
        "line 2 of the rendered text: lb_algo rx",
        "line 11 of the rendered text: lb_algo rx",
    ]


def test_lines_through_includes_macros_and_values_of_several_lines(write: Write, tmp_path: Path) -> None:
    write("one.j2", "# one\nbad_one\n")
    text = "{% macro m(x) %}\nbad_{{ x }}\n{% endmacro %}\n{{ m('two') }}{% include 'one.j2' %}\n{{ more }}\n"
    rendering = made(write, text, 'more: "# three\\nbad_three"')
    main, one = str(tmp_path / "lb.conf.j2"), str(tmp_path / "one.j2")
    assert rendering.text.splitlines() == ["bad_two", "# one", "bad_one", "# three", "bad_three"]
    assert rendering.places[:5] == [(main, 2), (one, 1), (one, 2), (main, 5), (main, 5)]
    assert set(rendering.files) == {main, one, str(tmp_path / "v.yaml")}


def test_a_template_that_looks_at_what_it_made_still_renders_the_same(write: Write) -> None:
    """Then only the line of the rendered text is known."""
    text = "{% set x %}abc{% endset %}{% if x == 'abc' %}bad_one{% else %}other{% endif %}\n"
    ready = loaded(write, text)
    (error,) = [each for each in ready.diagnostics if each.severity is Severity.ERROR]
    assert error.notes[-1] == "line 1 of the rendered text: bad_one"
    assert error.subject is not None
    assert error.subject.file.endswith("lb.conf (rendered)")


def test_a_template_that_cannot_be_rendered_is_no_configuration(write: Write, tmp_path: Path) -> None:
    ready = loaded(write, "{{ missing }}")
    assert (ready.config, ready.exit_status_of_test) == (None, 5)
    (error,) = ready.diagnostics
    assert "'missing' is undefined" in error.summary
    assert {str(tmp_path / "lb.conf.j2"), str(tmp_path / "v.yaml")} <= set(ready.watched)


def test_half_a_character_is_no_configuration(write: Write) -> None:
    ready = loaded(write, "a\n{{ '\\ud800' }}")
    assert ready.config is None
    assert [each.summary for each in ready.diagnostics] == ["makes U+D800, which is no character"]


def test_an_include_that_is_not_there_is_waited_for(write: Write, tmp_path: Path) -> None:
    assert str(tmp_path / "later.j2") in loaded(write, "{% include 'later.j2' %}").watched


def test_what_it_includes_is_read_beside_it(write: Write, tmp_path: Path) -> None:
    write("more.conf", SERVICE.replace("{% for server in servers %}\n", "").replace("{% endfor %}\n", "")
          .replace("{{ server }}", "10.0.0.9").replace("{{ algo }}", "rr"))  # fmt: skip
    ready = loaded(write, "include more.conf\n" + SERVICE, "servers: [10.0.0.1]\nalgo: rr\n")
    assert ready.config is not None
    assert len(ready.config.virtual_servers) == 2
    names = {"lb.conf.j2", "v.yaml", "more.conf"}
    assert set(ready.files) == {str(tmp_path / name) for name in names}


CLUSTERS = ["dr", "nat", "tun", "fullnat"]


@pytest.mark.parametrize("method", CLUSTERS)
def test_the_cluster_that_comes_with_us(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-t", "cluster.conf.j2", "-v", f"{method}.values.yaml", "--node", "lb1", "--check"]
    assert main(["config", "render", *words]) == 0
    assert "virtual_server 203.0.113." in capsys.readouterr().out
    options = {"template": "cluster.conf.j2", "values": f"{method}.values.yaml"}
    ready = load(Options(config_id="lb1", **{name: str(SHIPPED / file) for name, file in options.items()}))
    assert exit_status(ready.diagnostics) == 0
    assert all(each.severity is Severity.NOTE for each in ready.diagnostics)


def test_every_tool_finds_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-t", "cluster.conf.j2", "-v", "dr.values.yaml", "--config-id", "lb1"]
    assert main(["config", "export", *words]) == 0
    assert '"virtual_server"' in capsys.readouterr().out


def test_the_node_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-t", "cluster.conf.j2", "-v", "fullnat.values.yaml", "--node", "lb9"]
    assert main(["config", "render", *words]) == 1
    assert "has no attribute 'lb9'" in capsys.readouterr().err


@pytest.mark.parametrize("method", CLUSTERS)
def test_the_script_for_real_servers_that_comes_with_us(method: str) -> None:
    made = rendered(
        str(SHIPPED / "real_server.sh.j2"), str(SHIPPED / f"real_server_{method}.values.yaml"), ""
    )
    assert made.trouble is None
    assert made.text.startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n"], input=made.text.encode(), timeout=30).returncode == 0


def test_the_unit_that_comes_with_us(tmp_path: Path) -> None:
    made = rendered(str(SHIPPED / "keepalive-py.service.j2"), str(SHIPPED / "service.values.yaml"), "")
    assert made.trouble is None
    assert "--max-removals 30 \\\n    --log-format=json \\\n    --use-file /etc/keepalived" in made.text


def test_every_template_stands_at_the_top_too() -> None:
    top = Path(__file__).resolve().parents[3] / "templates"
    for file in SHIPPED.iterdir():
        assert (top / file.name).resolve() == file
