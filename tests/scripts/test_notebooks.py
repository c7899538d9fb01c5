"""The notebooks: what is committed is the text beside it, executed, and the text still executes."""

import re
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
TEXTS = sorted((ROOT / "notebooks").glob("*.py"))
FOREIGN = ("/tmp", "/home", "site-packages", str(ROOT))  # what tells of the machine that executed it


def sources(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def shown(notebook: Any) -> list[set[str]]:
    """For each cell of code the kinds of what it shows: text, pictures."""
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return [{kind for output in cell for kind in output.get("data", {"text": ""})} for cell in outputs]


def epochs(notebook: Any) -> list[str]:
    """How each line of an epoch begins, as `epoch 0/9`: what stands behind depends on the machine and its speed."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)
    return re.findall(r"^epoch +\d+/\d+", text, re.MULTILINE)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_is_its_text_executed(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    from notebooks import executed  # type: ignore[import-not-found]

    committed = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(committed)
    assert sources(committed) == sources(jupytext.read(text)), "write it anew: python scripts/notebooks.py"
    short = tmp_path / text.name
    short.write_text(re.sub(r"epochs=\d+", "epochs=2", text.read_text()))
    anew = executed(short)  # raises if a cell does
    assert shown(anew) == shown(committed)
    lengths = [int(length) for length in re.findall(r"epochs=(\d+)", text.read_text())]
    assert len(lengths) <= 1
    for length in lengths:
        runs = len(epochs(committed)) // length
        assert runs > 0
        assert epochs(committed) == [f"epoch {epoch}/{length - 1}" for epoch in range(length)] * runs
        assert epochs(anew) == ["epoch 0/1", "epoch 1/1"] * runs
    assert any("image/png" in kinds for kinds in shown(anew))
    assert sys.modules["notebooks"].__file__ == str(ROOT / "scripts" / "notebooks.py")


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_says_nothing_of_a_machine(text: Path) -> None:
    content = text.with_suffix(".ipynb").read_text()
    assert len(content) < 400_000
    assert [word for word in FOREIGN if word in content] == []
