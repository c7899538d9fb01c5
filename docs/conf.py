"""The Sphinx site of these pages, which `make docs` builds: the Markdown files as they are, and the reference."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

project = "membrane"
copyright = "the membrane authors, Apache-2.0"  # noqa: A001  # Sphinx's name
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "membrane"
html_copy_source = False
html_show_sourcelink = False
myst_heading_anchors = 3  # links such as extending.md#data-set lead to headings, as in a repository's browser
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# other libraries' documentation is not asked for: the site is built without a network
nitpick_ignore_regex = [("py:.*", ".*")]


def list_classes(app: Any, name: str, source: list[str]) -> None:
    """Put the classes of a package that files of conf/ name in the place of the comment `.. classes of PACKAGE`."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "conf").rglob("*.yaml"))]
    named = sorted({found for text in texts for found in re.findall(r"_target_: (membrane\.[\w.]+)", text)})

    def listed(package: re.Match[str]) -> str:
        return "\n".join(f".. autoclass:: {each}" for each in named if each.startswith(f"{package[1]}."))

    source[0] = re.sub(r"^\.\. classes of (.*)$", listed, source[0], flags=re.MULTILINE)


def link_files_outside(app: Any, name: str, source: list[str]) -> None:
    """Make links to files outside of docs/, such as records, downloads; MyST takes `.md` for pages of the site."""
    source[0] = source[0].replace("](../", "](path:../")


def as_restructured_text(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Convert a docstring's lines, which are Markdown, in place: code in backticks, tables and signs."""
    text = re.sub(r"^Arguments \((.+)\):$", r"\1.\n\nArguments:", "\n".join(lines), flags=re.MULTILINE)
    pieces = re.split(r"(``.+?``|`[^`]+`|^ *>>> .*(?:\n.*\S.*)*)", text, flags=re.DOTALL | re.MULTILINE)
    converted = [literal(piece) if index % 2 else escaped(piece) for index, piece in enumerate(pieces)]
    lines[:] = re.sub(r"^\\\|.*(?:\n\\\|.*)*", table, "".join(converted), flags=re.MULTILINE).splitlines()


def literal(piece: str) -> str:
    """Return code in double backticks, and an example of the interpreter as it is."""
    return piece if piece.lstrip().startswith(">>>") else f"``{' '.join(piece.strip('`').split())}``"


def escaped(piece: str) -> str:
    """Escape what reStructuredText would take for a substitution, a reference, or emphasis but of single words."""
    return re.sub(r"(\|+|(?<!\S)\*(?!\w+\*)|\*\*+|(?<=\w)_(?!\w))", lambda sign: re.sub("(.)", r"\\\1", sign[0]), piece)


def table(found: re.Match[str]) -> str:
    """Convert a Markdown table, its bars escaped, to a list-table."""
    head, _, *rows = [line.strip("\\| ").split("\\|") for line in found[0].splitlines()]
    cells = [(" " if column else "*", cell.strip(" \\")) for row in [head, *rows] for column, cell in enumerate(row)]
    body = [f"   {bullet} - {cell}" for bullet, cell in cells]
    return "\n".join([".. list-table::", "   :header-rows: 1", "", *body, ""])


def setup(app: Any) -> None:
    """Connect the conversions; the one of docstrings before napoleon's, which is at 500."""
    app.connect("source-read", list_classes)
    app.connect("source-read", link_files_outside)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=100)
