"""The layers of the package: who may import whom, read from the syntax trees of its sources."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
LAYERS = (
    {"cli", "hydra_plugins"},
    {"sweep", "bench"},
    {"training"},
    {"tracking"},
    {"learner"},
    {"report", "analysis", "regularizer"},
    {"config", "losses"},
    {"runs", "papers", "readout"},
    {"schema", "augment", "fast", "framework", "deployment"},
    {"models", "data", "encoders"},
    {"neurons"},
    {"files", "errors", "randomness", "metrics", "scores"},
)
"""From top to bottom: a wing or a page may import its own layer and those below."""
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SCIENCE = {"models", "neurons", "data", "augment", "encoders", "framework", "readout", "losses", "regularizer"}
SCIENCE |= {"learner", "metrics"}
STRANGERS = {"data": {"models", "encoders"}, "models": {"data", "encoders"}, "encoders": {"data", "models"}}
WITHOUT_TORCH = {"cli", "schema", "config", "runs", "files", "report", "scores", "papers", "errors"}
HEAVY = {
    "torch",
    "lightning",
    "spikingjelly",
    "torchmetrics",
    "torchvision",
    "torchaudio",
    "wandb",
    "sklearn",
    "matplotlib",
}


def module_name(path: Path) -> str:
    """src/membrane/data/__init__.py → membrane.data."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(SRC.rglob("*.py"))}


def imports(module: str, top_level: bool = False) -> Iterator[str]:
    """Every module that one imports: at any depth, or only what is imported together with it."""
    tree = ast.parse(SOURCES[module].read_text())
    for node in executed_at_import(tree.body) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in SOURCES else str(node.module) for name in full)


def executed_at_import(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement that runs when a module is imported, inside `if`, `try` and `with` too."""
    for node in statements:
        yield node
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not typing_only and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in ("body", "orelse", "finalbody"):
                yield from executed_at_import(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from executed_at_import(handler.body)


def wing(module: str) -> str:
    """membrane.data.idx → data, hydra_plugins.membrane.optuna → hydra_plugins."""
    first, *rest = module.split(".")
    return first if first == "hydra_plugins" else rest[0] if rest else ""


def arrows() -> Iterator[tuple[str, str]]:
    """Every import between the project's own modules."""
    yield from ((module, other) for module in SOURCES for other in imports(module) if other in SOURCES)


def test_every_wing_has_a_layer_and_the_top_level_has_at_most_thirty_entries() -> None:
    wings = {wing(module) for module in SOURCES} - {"", "__main__"}
    assert wings <= RANK.keys()
    entries = [path for path in (SRC / "membrane").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 30


def test_no_arrow_runs_back_up() -> None:
    up = [f"{a} → {b}" for a, b in arrows() if wing(a) in RANK and wing(b) in RANK and RANK[wing(b)] < RANK[wing(a)]]
    assert up == []


def test_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, other in arrows():
        if module != other:
            graph.setdefault(module, set()).add(other)
    assert list(TopologicalSorter(graph).static_order())  # CycleError names a circle


def test_the_science_knows_no_configuration_and_its_parts_do_not_know_each_other() -> None:
    schooled = {"schema", "config", "runs", "cli"}
    strange = [f"{a} → {b}" for a, b in arrows() if wing(a) in SCIENCE and wing(b) in schooled]
    strange += [f"{a} → {b}" for a, b in arrows() if wing(b) in STRANGERS.get(wing(a), ())]
    feed = "membrane.data.feed.batch"
    strange += [f"{a} → {b}" for a, b in arrows() if wing(a) == "augment" and wing(b) == "data" and b != feed]
    assert strange == []


def test_nobody_imports_the_commands_or_the_bench() -> None:
    outside = ((a, b) for a, b in arrows() if wing(a) not in ("cli", "__main__") and wing(b) in ("cli", "bench"))
    assert [f"{a} → {b}" for a, b in outside if wing(a) != wing(b)] == []


def test_heavy_libraries_are_not_imported_with_what_answers_without_them() -> None:
    def reached(module: str, seen: set[str]) -> set[str]:
        parts = module.split(".")
        packages = [".".join(parts[:size]) for size in range(1, len(parts))]
        for other in [*packages, *imports(module, top_level=True)]:
            if other not in seen:
                seen.add(other)
                if other in SOURCES:
                    reached(other, seen)
        return seen

    light = {module for module in SOURCES if wing(module) in WITHOUT_TORCH}
    assert len(light) > 30
    heavy = {module: sorted({name.split(".")[0] for name in reached(module, set())} & HEAVY) for module in light}
    assert {module: names for module, names in heavy.items() if names} == {}
