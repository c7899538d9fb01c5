"""Private names of libraries that the package uses, each with its library: what an upgrade must look at."""

import ast
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
HYDRA, OMEGACONF, LIGHTNING, TORCH = "hydra-core", "omegaconf", "lightning", "torch"
SPIKINGJELLY, OPTUNA = "spikingjelly", "optuna"

PRIVATE = {
    ("hydra_plugins/membrane/optuna.py", HYDRA): {"hydra._internal.config_loader_impl"},
    ("membrane/cli/hydra_options.py", HYDRA): {"hydra._internal.utils"},
    ("membrane/cli/train.py", HYDRA): {"hydra._internal.hydra"},
    ("membrane/config/composer.py", HYDRA): {
        "hydra._internal.config_loader_impl",
        "hydra._internal.config_repository",
        "hydra._internal.utils",
        "_parse_overrides_and_create_caching_repo",
        "_embed_result_config",
    },
    ("membrane/config/environment.py", OMEGACONF): {"_get_node"},
    ("membrane/config/files.py", HYDRA): {
        "hydra._internal.config_loader_impl",
        "hydra._internal.config_repository",
        "_parse_overrides_and_create_caching_repo",
        "_compose_config_from_defaults_list",
        "_apply_overrides_to_config",
    },
    ("membrane/data/feed/workers.py", TORCH): {"_workers", "_shutdown_workers"},
    ("membrane/fast/channels_last.py", TORCH): {"_conv_forward", "_check_input_dim"},
    ("membrane/fast/fused.py", SPIKINGJELLY): {"_memories", "_neuron_precision"},
    ("membrane/fast/hooks.py", TORCH): {
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
    },
    ("membrane/fast/recomputation.py", SPIKINGJELLY): {"_memories"},
    ("membrane/fast/recomputation.py", TORCH): {
        "_modules",
        "_C",
        "_current_graph_task_id",
    },
    ("membrane/fast/repetition.py", TORCH): {"_backward_hooks"},
    ("membrane/fast/run_start.py", TORCH): {"_buffers"},
    ("membrane/fast/timesteps_at_once.py", TORCH): {"_has_any_global_hook"},
    ("membrane/fast/torch_compile.py", TORCH): {
        "torch._inductor.runtime.cache_dir_utils",
        "_dynamo",
    },
    ("membrane/models/ms_resnet.py", SPIKINGJELLY): {"_first_stage_stride"},
    ("membrane/models/own_time.py", SPIKINGJELLY): {"_step_mode"},
    ("membrane/models/spiking_vgg.py", SPIKINGJELLY): {"_initialize_weights"},
    ("membrane/sweep/jobs.py", HYDRA): {"hydra._internal.core_plugins.basic_sweeper"},
    ("membrane/sweep/search/study.py", OPTUNA): {"_storage", "_trial_id"},
    ("membrane/training/averaging.py", LIGHTNING): {"_average_model", "_latest_update_step"},
    ("membrane/training/checkpointing.py", LIGHTNING): {"_load_combined_loader_states", "_swap_models"},
    ("membrane/training/epoch_loop.py", LIGHTNING): {"_logger_connector", "_num_ready_batches_reached"},
}
"""File, library → the private names that it uses: modules, attributes, and methods that override private ones."""
NOT_PRIVATE = {"_replace", "_make", "_exit", "_fields_"}
"""Public in spite of their names: of named tuples, of os and of ctypes."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NOT_PRIVATE


def private_names(tree: ast.Module) -> Iterator[str]:
    """Every private module that is imported, and every private attribute but those of our own classes without bases."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    own = {name for owner in classes if not owner.bases for name in defined_in(owner)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            yield from (module for module in modules if any(map(is_private, module.split("."))))
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            yield node.attr
    yield from (name for owner in classes if owner.bases for name in defined_in(owner) if is_private(name))


def defined_in(owner: ast.ClassDef) -> Iterator[str]:
    """The methods and attributes that a class defines, in its body or on ``self``."""
    for node in owner.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    for node in ast.walk(owner):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def sources() -> dict[str, str]:
    return {path.relative_to(SRC).as_posix(): path.read_text() for path in sorted(SRC.rglob("*.py"))}


def test_every_private_name_of_a_library_is_listed() -> None:
    found = {file: set(private_names(ast.parse(text))) for file, text in sources().items()}
    listed: dict[str, set[str]] = {}
    for (file, _), names in PRIVATE.items():
        listed[file] = listed.get(file, set()) | names
    assert {file: names for file, names in found.items() if names} == listed


def test_each_file_says_for_which_version_and_that_is_the_one_installed() -> None:
    """An upgrade fails here first: look at the names listed, then write the new version beside them."""
    missing = []
    for (file, library), names in PRIVATE.items():
        said = re.findall(rf"{library} (\d+(?:\.\d+)+)", (SRC / file).read_text(), re.IGNORECASE)
        version = metadata.version(library)
        if not any(f"{version}.".startswith(f"{each}.") for each in said):
            missing.append(f"{file}: nothing on {sorted(names)} names {library} {version}, but {said}")
    assert missing == []
