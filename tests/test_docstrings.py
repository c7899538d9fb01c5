"""Docstrings: how they begin, and that long lists of arguments are explained."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import membrane

PACKAGE = Path(membrane.__file__).parent
FEW = 6
Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def sources() -> Iterator[Path]:
    """Yield every module of the package."""
    yield from sorted(PACKAGE.rglob("*.py"))


def documented(path: Path) -> Iterator[Documented]:
    """Yield the module, and every class and function in it."""
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Documented))


def arguments(node: Documented) -> list[str]:
    """Return what a function, or a class at its construction, takes."""
    if isinstance(node, ast.ClassDef):
        constructors = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        if constructors:
            return arguments(constructors[0])
        # the fields of dataclasses and named tuples that are arguments
        return [
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign)
            and isinstance(each.target, ast.Name)
            and not any(mark in ast.unparse(each) for mark in ("init=False", "ClassVar"))
        ]
    if isinstance(node, ast.FunctionDef):
        taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        return [each.arg for each in taken if each.arg not in ("self", "cls", "ctx")]
    return []


def test_docstrings_say_what_is_done_and_explain_many_arguments() -> None:
    wrong = []
    for path in sources():
        for node in documented(path):
            name, text = (
                f"{path.relative_to(PACKAGE)}: {getattr(node, 'name', 'module')}",
                ast.get_docstring(node) or "",
            )
            if re.match(r"(What|Whether|How|Raises)\b", text):
                wrong.append(f"{name} begins with {text.split()[0]}")
            explained_elsewhere = name.endswith("__init__") or name.startswith("schema/")  # by the class that is built
            if len(arguments(node)) > FEW and not explained_elsewhere:
                wrong += [f"{name}: {each}" for each in arguments(node) if not re.search(rf"\b{each}\b", text)]
    assert not wrong, "\n".join(wrong)
