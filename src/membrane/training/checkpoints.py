"""Checkpoint files: plain dicts and tensors, replaced atomically with a digest beside them, read without running code.

A file and its digest cannot be replaced in one step, so for a moment the digest file lists the digests of the old and
of the new content: whenever the process is killed, the checkpoint has one of the digests that are listed.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor, nn

from membrane.errors import ConfigError, DataError, printable_text
from membrane.files import durable
from membrane.files.capped import TEXT_BYTES, read_capped
from membrane.files.digest import sha256
from membrane.files.regular import open_regular
from membrane.training.checkpoint_archive import require_checksums, require_plain_archive

log = logging.getLogger(__name__)


class WholeFiles(CheckpointIO):
    """Lightning's checkpoint plug-in, through the functions of this module."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint atomically; Lightning's options are ignored."""
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read a checkpoint to the CPU. Raises DataError if it is damaged or holds anything but plain data."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its digest."""
        for each in (Path(path), digest_file(Path(path))):
            each.unlink(missing_ok=True)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and its SHA-256 beside it, each atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = durable.write_beside(path, lambda file: torch.save(checkpoint, file))
    put_in_place(beside, path, sha256(beside))


def link_checkpoint(source: Path, path: Path) -> None:
    """Give the checkpoint ``source`` a second name, as a hard link if possible, else as a copy."""
    beside = path.with_name(durable.temporary_name(path.name))
    try:
        os.link(source, beside)
    except OSError:  # a file system without hard links
        with open(source, "rb", opener=open_regular) as file:
            beside = durable.write_beside(path, lambda target: shutil.copyfileobj(file, target))
    recorded = recorded_digests(source)
    put_in_place(beside, path, recorded[0] if len(recorded) == 1 else sha256(beside))


def put_in_place(beside: Path, path: Path, digest: str) -> None:
    """Replace the checkpoint ``path`` by the file ``beside``, and bring its digest file up to date."""
    try:
        durable.write_utf8(digest_file(path), digest_lines([digest, *recorded_digests(path)], path))
        beside.replace(path)
    finally:
        # on a full disk it would take the room that FAILED.json needs; it is still there if both are names of one file
        beside.unlink(missing_ok=True)
    durable.flush_folder(path.parent)
    last = digest_lines([digest], path).encode()
    # not flushed: what it replaces names this content too
    durable.write_whole(digest_file(path), lambda file: file.write(last), flushed=False)


def digest_lines(digests: list[str], path: Path) -> str:
    """Return the content of a digest file."""
    return "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests))


def digest_file(path: Path) -> Path:
    """Return the path of a checkpoint's digest file."""
    return path.with_name(f"{path.name}.sha256")


def recorded_digests(path: Path) -> list[str]:
    """Return the digests that a checkpoint may have, the newest first; none without a digest file."""
    try:
        return [
            line.split()[0]
            for line in read_capped(digest_file(path), TEXT_BYTES).decode(errors="replace").splitlines()
            if line.strip()
        ]
    except FileNotFoundError:
        return []


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU.

    Raises DataError if it is missing or damaged, as its digest says, or its archive's checksums where it has none, or
    if it holds anything but plain data: `membrane` and `state_dict`, whose values are tensors.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    has_digest = digest_file(path).is_file()
    if has_digest and sha256(path) not in recorded_digests(path):
        raise DataError(f"{path}: damaged (its SHA-256 is not the one in {digest_file(path).name})")
    require_plain_archive(path)
    if not has_digest:
        require_checksums(path)
        tell_of_missing_digest(path)
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers raise
        raise DataError(f"{path}: not a checkpoint of plain data ({type(error).__name__})") from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("membrane"), dict):
        raise DataError(f"{path}: not a checkpoint of membrane")
    require_tensors(path, checkpoint.get("state_dict"))
    return checkpoint


@cache
def tell_of_missing_digest(path: Path) -> None:
    """Log, at the first call with that path, that a checkpoint has no digest beside it."""
    log.warning("%s has no %s beside it: only the checksums inside it were compared", path, digest_file(path).name)


def require_tensors(path: Path, state: Any) -> None:
    """Raise DataError if a state dict is no dict of plain tensors; a module's own extra state may be anything."""
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise DataError(f"{path}: holds no state_dict of tensors by name")
    for key, value in state.items():
        if not key.endswith("_extra_state") and not is_plain(value):
            raise DataError(f"{path}: {printable_text(key)} in its state_dict is no tensor of numbers")


def is_plain(value: Any) -> bool:
    """Return whether a value is a tensor that has all its numbers, one after the other."""
    if not isinstance(value, Tensor) or value.is_meta or value.is_quantized or value.is_nested:
        return False
    return value.layout == torch.strided


def newest_readable(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return path and content of last.ckpt, or of previous.ckpt if that is damaged; a warning says so.

    None if there is neither. Raises DataError if none can be read.
    """
    damages = []
    for path in (folder / "last.ckpt", folder / "previous.ckpt"):
        if not path.exists() and not digest_file(path).exists():
            continue
        try:
            if not recorded_digests(path):
                raise DataError(f"{path}: its digest file {digest_file(path).name} is missing or empty")
            checkpoint = read_checkpoint(path)
        except DataError as error:
            damages.append(str(error))
            continue
        if damages:
            log.warning("%s: %s is used instead", damages[0], path.name)
            set_damaged_aside(folder / "last.ckpt")  # else the next save would let it replace previous.ckpt
        return path, checkpoint
    if damages:
        raise DataError(f"{'; '.join(damages)}: nothing to go on from, rerun=true runs it anew")
    return None


def set_damaged_aside(path: Path) -> None:
    """Rename a damaged checkpoint to damaged.ckpt, where it can be examined, and remove its digest."""
    if path.exists():
        path.replace(path.with_name("damaged.ckpt"))
    digest_file(path).unlink(missing_ok=True)


RESUMED = {"epoch": int, "global_step": int, "loops": dict, "optimizer_states": list, "callbacks": dict}
"""What training goes on from beside the weights."""


def require_resumable(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Raise DataError if a checkpoint lacks what training goes on from."""
    for key, expected in RESUMED.items():
        if not isinstance(checkpoint.get(key), expected):
            raise DataError(f"{path}: training cannot go on from it, it has no {key}; rerun=true runs it anew")
    completed_epochs(checkpoint)


def completed_epochs(checkpoint: Mapping[str, Any]) -> int:
    """Return how many epochs were over when a checkpoint was written. Raises DataError if it does not say."""
    return epoch_count(checkpoint, "processed")


def is_within_epoch(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was written before its epoch was over. Raises DataError if it does not say."""
    return epoch_count(checkpoint, "ready") > epoch_count(checkpoint, "processed")


def epoch_count(checkpoint: Mapping[str, Any], state: str) -> int:
    """Return how many epochs were in a state of Lightning's. Raises DataError if a checkpoint does not say."""
    try:
        return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"][state])
    except (LookupError, TypeError, ValueError, OverflowError):
        raise DataError("the checkpoint does not say how many epochs were over when it was written") from None


def load_weights(learner: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a checkpoint's state dict into a learner.

    Raises ConfigError if names or shapes differ, DataError if numbers are of another kind.
    """
    require_same_kinds(learner.state_dict(), state)
    try:
        learner.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(printable_text(str(error)).split()[6:])  # after "Error(s) in loading state_dict for Learner:"
        raise ConfigError(f"the settings do not fit the trained weights, which cannot change now: {reason}") from None


def require_same_kinds(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Raise DataError if a tensor holds other numbers than the model's of that name, which torch would convert.

    A complex one would lose its imaginary part, and whole numbers would become others. Precisions may differ.
    """
    for key, value in stored.items():
        model = wanted.get(key)
        if isinstance(value, Tensor) and isinstance(model, Tensor):
            there, here = numbers_of(value), numbers_of(model)
            if there != here:
                raise DataError(f"{key} holds {there} numbers in the checkpoint, {here} in the model")


def numbers_of(tensor: Tensor) -> str:
    """Return which numbers a tensor holds: real, complex, whole or boolean."""
    if tensor.is_floating_point():
        return "real"
    return "complex" if tensor.is_complex() else "boolean" if tensor.dtype == torch.bool else "whole"


def state_digest(checkpoint: Any) -> str:
    """Return the SHA-256 over key, type, shape and bytes of everything in a checkpoint that determines training.

    Two runs with the same digest agree to the last bit in weights, averaged weights, optimiser, schedule, callbacks and
    sums of metrics. Paths, times and Lightning's loop counters are not part of it.
    """
    sha = hashlib.sha256()
    for key, value in sorted(state_leaves(checkpoint)):
        if isinstance(value, Tensor):
            data = value.detach().cpu().contiguous()
            sha.update(f"{key}:{data.dtype}{list(data.shape)}".encode())
            sha.update(data.flatten().view(torch.uint8).numpy().tobytes())
        else:
            sha.update(f"{key}:{value!r}".encode())
    return sha.hexdigest()


NOT_HASHED = ("membrane", "loops", "seconds", "bytes")
"""Keys left out of the digest: the configuration, loop counters, times, and the length of a table with times."""


def state_leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path of keys, value) for every leaf of nested mappings and sequences."""
    if isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in NOT_HASHED:
                yield from state_leaves(inner, f"{prefix}/{key}")
    else:
        yield prefix, value
