"""Executes the text of the notebooks and writes them beside it: ``python scripts/notebooks.py``."""

import tempfile
from argparse import ArgumentParser
from pathlib import Path

import jupytext
import nbformat
from bare_clone import use_source
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def executed(text: Path) -> nbformat.NotebookNode:
    """Return the notebook of a text in jupytext's percent format, with its outputs and nothing of this machine."""
    notebook = jupytext.read(text, fmt="py:percent")
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", resources=place, record_timing=False).execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell{number}"  # they are random, and would change with every execution
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return notebook


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()
    use_source()
    for text in sorted(NOTEBOOKS.glob("*.py")):
        nbformat.write(executed(text), text.with_suffix(".ipynb"))
        print(f"written: notebooks/{text.stem}.ipynb")
