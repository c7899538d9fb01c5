"""The site that `make docs` builds: no warning, and a reference of every class that a configuration can name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFERENCED = ("readout", "losses", "regularizer", "models", "neurons", "encoders", "augment")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # Sphinx's extensions, of each other
def test_the_site_builds_without_a_warning_and_has_every_class_that_conf_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build = pytest.importorskip("sphinx.cmd.build", reason="Sphinx is not installed: the extra docs has it").build_main
    options = ["-b", "dummy", "-q", "-W", "-n", "-d", str(tmp_path / "doctrees")]
    assert build([*options, str(ROOT / "docs"), str(tmp_path / "site")]) == 0, capfd.readouterr().err
    texts = [path.read_text() for path in (ROOT / "conf").rglob("*.yaml")]
    named = {name for text in texts for name in re.findall(r"_target_: membrane\.(\w+\.[\w.]+)", text)}
    named = {name for name in named if name.split(".")[0] in REFERENCED}
    assert len(named) > 50
    doctree = (tmp_path / "doctrees" / "reference.doctree").read_bytes()
    assert [name for name in named if f"membrane.{name}".encode() not in doctree] == []


def test_every_page_and_notebook_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    tables = "\n".join(re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.MULTILINE | re.DOTALL))
    assert pages == {line for line in tables.splitlines() if line and not line.startswith(":")}
    assert [path.name for path in (ROOT / "notebooks").glob("*.ipynb") if path.name not in index] == []
