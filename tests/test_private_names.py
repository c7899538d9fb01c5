"""The private names of libraries that the sources use: what an upgrade of a library has to look at."""

import ast
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
PRIVATE = {
    "hydra-core": {
        "hydra._internal.config_loader_impl",
        "hydra._internal.config_repository",
        "hydra._internal.core_plugins.basic_sweeper",
        "hydra._internal.hydra",
        "hydra._internal.utils",
        "_apply_overrides_to_config",
        "_compose_config_from_defaults_list",
        "_embed_result_config",
        "_parse_overrides_and_create_caching_repo",
    },
    "lightning": {"_load_combined_loader_states", "_swap_models"},
    "omegaconf": {"_get_node"},
    "optuna": {"_storage", "_trial_id"},
    "spikingjelly": {"_first_stage_stride", "_initialize_weights", "_memories", "_neuron_precision"},
    "torch": {
        "_backward_hooks",
        "_backward_pre_hooks",
        "_check_input_dim",
        "_conv_forward",
        "_dynamo",
        "_forward_hooks",
        "_forward_pre_hooks",
        "_shutdown_workers",
        "_workers",
    },
}
OTHERS = {"_asdict", "_exit", "_fields", "_make", "_replace", "__future__", "_backward", "_forward"}
"""Public in spite of their names, of named tuples and of os; and fast/kernels' own."""
COMMENT = re.compile(r"private to (Hydra|hydra-core|Lightning|OmegaConf|Optuna|SpikingJelly|torch) (\d+(?:\.\d+)+)")


def private_names(tree: ast.Module) -> Iterator[str]:
    """Yield the attributes, methods and imported modules of a module whose names begin with an underscore."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            yield node.attr
        elif isinstance(node, ast.FunctionDef) and re.match(r"_[^_]", node.name):
            yield node.name
        elif isinstance(node, ast.ImportFrom) and re.search(r"(^|\.)_", node.module or ""):
            yield str(node.module)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.name for alias in node.names if re.search(r"(^|\.)_[^_]", alias.name))


def test_private_names_are_those_of_the_list() -> None:
    used = {name for path in SRC.rglob("*.py") for name in private_names(ast.parse(path.read_text()))}
    assert used - OTHERS == set().union(*PRIVATE.values())


def test_comments_on_private_names_are_of_the_installed_versions() -> None:
    stale = []
    for path in SRC.rglob("*.py"):
        for library, version in COMMENT.findall(path.read_text()):
            package = {"Hydra": "hydra-core"}.get(library, library.lower())
            if not (metadata.version(package) + ".").startswith(version + "."):
                stale.append(f"{path.relative_to(SRC)}: {library} {version}")
    assert stale == []
