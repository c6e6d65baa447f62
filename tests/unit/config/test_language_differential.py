"""The same random texts, read by keepalived and by us, are the same logical lines.

keepalived says for each logical line at the top level that its first word is unknown, and
in which line: so its messages tell how it cut the text. Needs a `keepalived` program
(observed with 2.2.7); `DIFFERENTIAL_TEXTS=3000` reads more texts.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from keepalive_py.config.preprocess import ReadOptions, read_lines
from keepalive_py.config.source import Documents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("keepalived") is None, reason="there is no keepalived to compare with"),
]

PIECES = [
    "a", "b ", "c\t", " ", "{", "}", '"', "'", "\\", "#", "!", "$A", "${A}", "$B ", "${B}", "$C", "${U}",
    "@exp ", "@no ", "@^exp ", "@^no ", "~SEQ(i,2) ", "~SEQ(j,3,1) ", "~LST(k,x,y) ", "$i", "${j}", "${k}",
    "$A=", "$B=", "x,", "(", ")", "\\#", "\\!", "${_HASH}", "${_INSTANCE}", "w1 w2", '"q r"', "=", "${_PWD}",
]  # fmt: skip

TOLD = re.compile(r"^\(Line (\d+)\) (?:Unknown keyword '(.*)'|Unexpected '(\{)' - ignoring)$", re.MULTILINE)


def random_text(seed: int) -> str:
    chance = random.Random(seed)
    head = ["$A=1\n", "$B=x y\n", "$C=m1 \\\nm2 \\\nm3\n"]
    lines = [
        "".join(chance.choices(PIECES, k=chance.randint(1, 7))) + "\n" for _ in range(chance.randint(1, 4))
    ]
    return "".join(each for each in head if chance.random() < 0.4) + "".join(lines) + "end\n"


def known_difference(text: str, theirs: list[tuple[int, str]]) -> bool:
    """Where keepalived 2.2.7 does by accident what we do not want.

    A condition or a sequence that comes out of a definition garbles the line, as does a
    second condition with a reference behind it; a backslash that ends a comment is a word.
    """
    return (
        "=@" in text
        or "=~" in text
        or re.search(r"@\S+ @|@\S+ .*\$", text) is not None
        or any(word.endswith("\\") for _, word in theirs)
    )


def lines_of_keepalived(path: Path) -> list[tuple[int, str]] | None:
    """None when it crashed or did not end."""
    command = ["keepalived", "-t", "-f", path.name, "-i", "exp"]
    try:
        done = subprocess.run(command, cwd=path.parent, capture_output=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode < 0:
        return None
    # The parent speaks first, without the file's name; each child repeats it with that.
    parent = done.stderr.decode("latin-1").split(f"({path.name}: ")[0]
    return [(int(number), word or brace) for number, word, brace in TOLD.findall(parent)]


def our_lines(text: str, directory: Path) -> tuple[list[tuple[int, str]], set[str]]:
    options = ReadOptions(config_id="exp", directory=str(directory))
    reading = read_lines("k.conf", Documents({"k.conf": text}), options)
    return [(line.span.line, line.brace or line.keyword) for line in reading.lines], {
        diagnostic.code for diagnostic in reading.diagnostics
    }


def test_keepalived_cuts_random_texts_into_the_same_lines(tmp_path: Path) -> None:
    path = tmp_path / "k.conf"
    compared = 0
    for seed in range(int(os.environ.get("DIFFERENTIAL_TEXTS", "60"))):
        text = random_text(seed)
        path.write_text(text)
        theirs = lines_of_keepalived(path)
        ours, codes = our_lines(text, tmp_path)
        if theirs is None or "endless-definition" in codes or known_difference(text, theirs):
            continue
        compared += 1
        assert ours == theirs, f"seed {seed}: {text!r}"
    assert compared > 20
