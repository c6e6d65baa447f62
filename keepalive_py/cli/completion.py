"""Completion for bash and zsh, out of the command lines' own declarations.

`keepalive-ctl completion bash` prints a script with a word list for each command; zsh reads the
same through its bashcompinit. Keywords of the language are among the words where one is asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from keepalive_py.cli.options import FLAGS, OWN_FLAGS

__all__ = ["script"]

Words = Mapping[tuple[str, ...], list[str]]  # of each command, what may follow it; of `--option`, its values

BASH = """\
# Completion of keepalive-ctl and keepalive-py for bash; made by `keepalive-ctl completion`.
_keepalive_py_words() {{
    case "$1" in
{cases}
    esac
}}

_keepalive_ctl() {{
    local command="" word at values current="${{COMP_WORDS[COMP_CWORD]}}"
    for ((at = 1; at < COMP_CWORD; at++)); do
        word="${{COMP_WORDS[at]}}"
        [[ -n "$(_keepalive_py_words "$command $word")" ]] && command="$command $word"
    done
    values="$(_keepalive_py_words "$command|${{COMP_WORDS[COMP_CWORD - 1]}}")"
    [[ -n "$values" ]] || values="$(_keepalive_py_words "$command")"
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
    [[ "$current" == -* || ${{#COMPREPLY[@]}} -gt 0 ]] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}}

_keepalive_py() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}"
    if [[ "$current" == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "{options}" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}}

complete -o filenames -F _keepalive_ctl keepalive-ctl
complete -o filenames -F _keepalive_py keepalive-py
"""
ZSH = """\
#compdef keepalive-ctl keepalive-py
autoload -Uz bashcompinit && bashcompinit
# bash's mapfile, for two forms of use in what follows
mapfile() { COMPREPLY=("${(@f)$(cat)}"); }
"""


def script(shell: str, parser: argparse.ArgumentParser, keywords: list[str]) -> str:
    """`keywords` are offered where an argument is called KEYWORD."""
    words = dict(_commands(parser, (), keywords))
    text = BASH.format(cases="\n".join(_cases(words)), options=" ".join(daemon_options()))
    return text if shell == "bash" else ZSH + text


def _commands(
    parser: argparse.ArgumentParser, path: tuple[str, ...], keywords: list[str]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    words: list[str] = []
    for action in parser._actions:
        words += [option for option in action.option_strings if option.startswith("--")]
        if action.option_strings and action.choices:
            for option in action.option_strings:
                yield (*path, option), [str(choice) for choice in action.choices]
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
            for name, below in action.choices.items():
                yield from _commands(below, (*path, name), keywords)
        elif not action.option_strings:
            words += map(str, action.choices or ())
            words += keywords if action.metavar == "KEYWORD" else ()
    yield path, words


def _cases(words: Words) -> Iterator[str]:
    for path, found in words.items():
        option = f"|{path[-1]}" if path and path[-1].startswith("-") else ""
        command = "".join(f" {word}" for word in (path[:-1] if option else path)) + option
        yield f"""        "{command}") echo "{" ".join(found)}" ;;"""


def daemon_options() -> list[str]:
    return [f"--{flag.long}{'=' if flag.argument else ''}" for flag in FLAGS + OWN_FLAGS if not flag.hidden]
