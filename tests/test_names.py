"""A name of a module's function or class says one thing in the whole package, so that it can be searched for."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "membrane"
SAME_BY_DESIGN = {
    "schema": "a schema's class is named like the class that it describes",
    "bench/peers": "each peer builds the same nets in its own library",
}
PICKLED = {"forward"}
"""A bound method is pickled by its name: these replace the method of a module."""


def test_module_level_names_are_unique() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if not file.startswith(tuple(SAME_BY_DESIGN)):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name not in PICKLED:
                    places.setdefault(node.name, []).append(file)
    assert len(places) > 500
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
