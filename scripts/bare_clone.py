"""Runs membrane from a bare clone: with src on the path, here and in the processes that it starts."""

import os
import sys
from pathlib import Path

SOURCE = str(Path(__file__).resolve().parents[1] / "src")


def use_source() -> None:
    """Put src on the path of this process and of those that it starts."""
    sys.path.insert(0, SOURCE)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))


def run(command: str) -> int:
    """Run ``membrane COMMAND`` with the arguments of this process and return its exit code."""
    use_source()
    from membrane.cli.main import main

    return main([command, *sys.argv[1:]])
