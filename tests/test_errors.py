"""Errors in one line, with the place in the user's own files."""

import importlib
from pathlib import Path

import pytest

from membrane.errors import RESUMABLE, Stopped, located_line, location, one_line, printable_text

SOURCE = """
def inner():
    raise ValueError("no such width")

def outer():
    inner()
"""


@pytest.fixture
def raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ValueError:
    (tmp_path / "their_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="no such width") as caught:
        importlib.import_module("their_module").outer()
    return caught.value


def test_an_error_is_told_with_the_innermost_line_of_these_packages(raised: ValueError) -> None:
    assert location(raised, ["their_module"]) == "their_module.py, line 3: "
    assert located_line(raised, ["their_module"]) == "their_module.py, line 3: ValueError: no such width"
    assert located_line(raised, ["another"]) == "ValueError: no such width"
    assert located_line(KeyError(), ["their_module"]) == "KeyError"


def test_a_file_that_does_not_parse_is_named_with_its_line() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("a = 1\nb = (\n", "/somewhere/their_module.py", "exec")
    assert located_line(caught.value, []) == "their_module.py, line 2: SyntaxError: '(' was never closed"


def test_one_line_is_the_first_that_says_something() -> None:
    assert one_line(ValueError("\n  first \nsecond")) == "first"
    assert one_line(ValueError("  \n")) == "ValueError"


def test_what_was_saved_can_be_resumed() -> None:
    assert RESUMABLE == 75
    saved, earlier, lost = Stopped("a", 130, saved=True), Stopped("b", 130, earlier=True), Stopped("c", 143)
    assert [each.code for each in (saved, earlier, lost)] == [75, 130, 143]
    assert [each.saved for each in (saved, earlier, lost)] == [True, False, False]
    assert [each.earlier for each in (saved, earlier, lost)] == [False, True, False]


def test_a_printable_text_is_one_line_without_what_a_terminal_obeys() -> None:
    assert printable_text("µ ± 94 % – naïve 漢字 🙂") == "µ ± 94 % – naïve 漢字 🙂"
    assert printable_text("a\nb\tc\r\u2028d") == "a b c  d"
    assert printable_text("\x1b[31m\x9b\x07\x00\u202e\u200f\ud800") == r"\x1b[31m\x9b\x07\x00\u202e\u200f\ud800"
