"""Starting from the weights of another run: strict, but for what is skipped and for the neurons' own parameters."""

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.files.digest import sha256
from membrane.neurons import neuron_layers
from membrane.runs.folder import checkpoint_of
from membrane.schema import Extend, Init
from membrane.training import checkpoints

PREFIX = "model."


def start_from(init: Init, model: nn.Module) -> str:
    """Give a model the weights of ``init``'s checkpoint; what was taken, what not and what begins anew, in one line.

    Strict, but for what is skipped, and for a neuron's own parameters that one side lacks: so an ANN's weights start
    its SNN, and a PLIF net's a LIF net. ConfigError for the first tensor that does not fit, with the way out.
    """
    file = checkpoint_of(init.path)
    if sha256(file) != init.sha256:
        raise ConfigError(f"init: {file} is not the checkpoint that it was: its SHA-256 is no longer {init.sha256}")
    wanted, found = model.state_dict(), weights(file)
    for name in init.skip:
        if not any(within(key, [name]) for key in (*wanted, *found)):
            known = ", ".join(dict.fromkeys(key.rpartition(".")[0] for key in wanted))
            raise ConfigError(f"init.skip: neither the model nor the checkpoint has {name}; the model has {known}")
    neurons = set(neuron_layers(model))
    for key in dict.fromkeys([*wanted, *found]):
        if not within(key, init.skip):
            refuse(key, wanted.get(key), found.get(key), neurons)
    taken = {key: found[key] for key in wanted if key in found and not within(key, init.skip)}
    model.load_state_dict(taken, strict=False)
    apart = {
        "begun anew": [key for key in wanted if key not in taken],
        "left": [key for key in found if key not in taken],
    }
    rest = "".join(f"; {what}: {', '.join(keys)}" for what, keys in apart.items() if keys)
    return f"{len(taken)} tensors from {file}{rest}"


def weights(file: Path) -> dict[str, Tensor]:
    """The model's part of a checkpoint."""
    state: dict[str, Tensor] = checkpoints.read_checkpoint(file)["state_dict"]
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}


def refuse(key: str, wanted: Tensor | None, found: Tensor | None, neurons: Collection[str]) -> None:
    """ConfigError where a tensor that must fit does not; a neuron's own parameter may be missing on one side."""
    module = key.rpartition(".")[0]
    if wanted is None or found is None:
        if module in neurons:
            return
    elif wanted.shape == found.shape:
        return
    sizes = [None if tensor is None else list(tensor.shape) for tensor in (found, wanted)]
    there, here = (f"is {size}" if size is not None else "does not exist" for size in sizes)
    way_out = f": init.skip=[{module}] leaves it out"
    raise ConfigError(f"init: {key} {there} in the checkpoint and {here} in this model{way_out}")


def within(key: str, modules: Iterable[str]) -> bool:
    """Whether a tensor belongs to one of the modules."""
    return any(key.startswith(f"{name}.") for name in modules)


CHECKPOINTS = ("best.ckpt", "last.ckpt")  # `last` comes last: with it the new run has begun


def copy_from(extend: Extend, folder: Path) -> None:
    """Let a new run's folder hold what it continues: the table, the best and the last checkpoint."""
    former = Path(extend.path)
    if sha256(former / "checkpoints" / "last.ckpt") != extend.sha256:
        raise ConfigError(f"extend={former} is not the run that it was: its last checkpoint is another")
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(former / "metrics.csv", folder / "metrics.csv")
    for name in CHECKPOINTS:
        if (former / "checkpoints" / name).exists():
            for file in (f"{name}.sha256", name):
                shutil.copyfile(former / "checkpoints" / file, folder / "checkpoints" / f".{file}.tmp")
                (folder / "checkpoints" / f".{file}.tmp").replace(folder / "checkpoints" / file)
