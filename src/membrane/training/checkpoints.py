"""Checkpoint files: plain dicts and tensors, replaced atomically with a digest beside them, read without running code.

A file and its digest cannot be replaced in one step, so for a moment the digest file lists the digests of the old and
of the new content: whenever the process is killed, the checkpoint has one of the digests that are listed.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor, nn

from membrane.errors import ConfigError, DataError
from membrane.files import durable
from membrane.files.digest import sha256
from membrane.files.regular import open_regular

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
    except BaseException:
        beside.unlink(missing_ok=True)  # on a full disk it would take the room that FAILED.json needs
        raise
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
            for line in digest_file(path).read_text(encoding="utf-8", errors="replace").splitlines()
            if line.strip()
        ]
    except FileNotFoundError:
        return []


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU. Raises DataError if it is missing, damaged or holds anything but plain data."""
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    if digest_file(path).is_file() and sha256(path) not in recorded_digests(path):
        raise DataError(f"{path}: damaged (its SHA-256 is not the one in {digest_file(path).name})")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers raise
        raise DataError(f"{path}: not a checkpoint of plain data ({type(error).__name__})") from None
    if not isinstance(checkpoint, dict) or "membrane" not in checkpoint:
        raise DataError(f"{path}: not a checkpoint of membrane")
    return checkpoint


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


def completed_epochs(checkpoint: dict[str, Any]) -> int:
    """Return how many epochs were over when a checkpoint was written."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def is_within_epoch(checkpoint: dict[str, Any]) -> bool:
    """Return whether a checkpoint was written before its epoch was over."""
    current = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    return int(current["ready"]) > int(current["processed"])


def load_weights(learner: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a checkpoint's state dict into a learner. Raises ConfigError if names or shapes differ."""
    try:
        learner.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[6:])  # after "Error(s) in loading state_dict for Learner:"
        raise ConfigError(f"the settings do not fit the trained weights, which cannot change now: {reason}") from None


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
