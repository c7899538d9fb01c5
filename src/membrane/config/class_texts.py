"""Docstrings of our classes and of their arguments, read from the file, for that is no import.

Importing a data set or an augmentation imports torch, which a command that only describes them should not wait for.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import membrane

ARGUMENT = re.compile(r"    (\w[\w, ]*): (.*)")
HEADING = re.compile(r"Arguments\b.*:")
ELSEWHERE = re.compile(r"`\w+` explains the (other )?settings\. *")
"""A sentence that is true of the docstring, but not of a list of all settings."""


def class_prose(public: str) -> str:
    """Return the docstring of a class by its public name, without its arguments; empty if it is none of ours."""
    return plain(ELSEWHERE.sub("", split_docstring(next(class_docstrings(public), ""))[0])).strip()


def argument_texts(public: str) -> dict[str, str]:
    """Return argument → what it is, as the docstrings of a class and of its bases say."""
    texts: dict[str, str] = {}
    for docstring in class_docstrings(public):
        texts = split_docstring(docstring)[1] | texts
    return {name: plain(text) for name, text in texts.items()}


def plain(text: str) -> str:
    """Return text with code between single backticks, as everywhere on the terminal."""
    return text.replace("``", "`")


def split_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring before its arguments, and argument → what it is, in one line."""
    text: list[str] = []
    arguments: dict[str, str] = {}
    names: list[str] | None = None
    for line in docstring.splitlines():
        if HEADING.fullmatch(line):
            names = []
        elif names is None:
            text.append(line)
        elif match := ARGUMENT.fullmatch(line):
            names = match[1].split(", ")
            arguments |= dict.fromkeys(names, match[2])
        else:
            arguments |= {name: f"{arguments[name]} {line.strip()}".strip() for name in names}
    return "\n".join(text), arguments


def class_docstrings(public: str) -> Iterator[str]:
    """Yield the docstrings of a class of ours and of its bases that are ours, nearest first; nothing for any other."""
    module, _, name = public.rpartition(".")
    tree = module_tree(module)
    for statement in tree.body if tree else []:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            yield inspect.cleandoc(ast.get_docstring(statement, clean=False) or "")
            for base in statement.bases:
                if isinstance(base, ast.Name):
                    yield from class_docstrings(f"{module}.{base.id}")
        elif isinstance(statement, ast.ImportFrom) and name in [alias.name for alias in statement.names]:
            yield from class_docstrings(f"{statement.module}.{name}")


@cache
def module_tree(module: str) -> ast.Module | None:
    """Return the syntax tree of a module of ours, None for another's."""
    package, *parts = module.split(".")
    if package != membrane.__name__:
        return None
    path = Path(membrane.__file__).parent.joinpath(*parts)
    source = next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)
    return ast.parse(source.read_text(encoding="utf-8")) if source else None
