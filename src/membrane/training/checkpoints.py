"""Checkpoints: plain dicts and tensors, written whole with a digest beside them, read without unpickling code.

A file and its digest cannot be replaced in one stroke, so for a moment the digest file names both the old content and
the new: whenever the process is killed, the checkpoint is one of those that it names.
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

log = logging.getLogger(__name__)


class WholeFiles(CheckpointIO):
    """Lightning's way to the disk: written beside, flushed, renamed; a digest file; loaded with weights_only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint so that it is there whole or not at all."""
        save(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read a checkpoint of ours. DataError where it is damaged or holds anything but plain data."""
        return load(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its digest."""
        for each in (Path(path), digest_file(Path(path))):
            each.unlink(missing_ok=True)


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and its SHA-256 beside it, each whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = durable.write_beside(path, lambda file: torch.save(checkpoint, file))
    put_in_place(beside, path, sha256(beside))


def keep_as(source: Path, path: Path) -> None:
    """Let the content of checkpoint ``source`` stand under another name too, without writing it again."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, beside)
    known = digests(source)
    put_in_place(beside, path, known[0] if len(known) == 1 else sha256(beside))


def put_in_place(beside: Path, path: Path, digest: str) -> None:
    """Replace a checkpoint by what lies beside it: before, the digest file names both contents, afterwards the new."""
    try:
        durable.write_whole(digest_file(path), lambda file: file.write(lines([digest, *digests(path)], path)))
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)  # on a full disk it would take the room that FAILED.json needs
        raise
    durable.flush_folder(path.parent)
    marker = digest_file(path).with_name(f".{path.name}.sha256.tmp")
    marker.write_bytes(lines([digest], path))  # not flushed: what it replaces names this content too
    marker.replace(digest_file(path))


def lines(digests: list[str], path: Path) -> bytes:
    """The content of a digest file."""
    return "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests)).encode()


def digest_file(path: Path) -> Path:
    """Where a checkpoint's digest lies."""
    return path.with_name(f"{path.name}.sha256")


def digests(path: Path) -> list[str]:
    """The SHA-256 that a checkpoint may have, the newest first; nothing where no digest file is."""
    try:
        return [line.split()[0] for line in digest_file(path).read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. DataError where it is missing, damaged, or holds anything but plain data."""
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    if digest_file(path).is_file() and sha256(path) not in digests(path):
        raise DataError(f"{path}: damaged (its SHA-256 is not the one in {digest_file(path).name})")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers do; all of it means: not a checkpoint of ours
        raise DataError(f"{path}: not a checkpoint of plain data ({type(error).__name__})") from None
    if not isinstance(checkpoint, dict) or "membrane" not in checkpoint:
        raise DataError(f"{path}: not a checkpoint of membrane")
    return checkpoint


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint that a run goes on from: `last`, or `previous` where that is damaged (a line says so).

    None where there is none. DataError where none can be read.
    """
    why_not = []
    for path in (folder / "last.ckpt", folder / "previous.ckpt"):
        if not path.exists() and not digest_file(path).exists():
            continue
        try:
            if not digests(path):
                raise DataError(f"{path}: its digest file {digest_file(path).name} is missing or empty")
            found = load(path)
        except DataError as error:
            why_not.append(str(error))
            continue
        if why_not:
            log.warning("%s: %s is used instead", why_not[0], path.name)
            set_aside(folder / "last.ckpt")  # saving would put it in the place of the good one
        return path, found
    if why_not:
        raise DataError(f"{'; '.join(why_not)}: nothing to go on from, rerun=true runs it anew")
    return None


def set_aside(path: Path) -> None:
    """Let a damaged checkpoint lie as `damaged.ckpt`, for whoever wants to look at it."""
    if path.exists():
        path.replace(path.with_name("damaged.ckpt"))
    digest_file(path).unlink(missing_ok=True)


def load_into(learner: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a learner the weights of a checkpoint. ConfigError where its settings need others."""
    try:
        learner.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[6:])  # after "Error(s) in loading state_dict for Learner:"
        raise ConfigError(f"the settings do not fit the trained weights, which cannot change now: {reason}") from None


def digest(checkpoint: Any) -> str:
    """SHA-256 over the sorted (place, type, shape, bytes) of everything in a checkpoint that trains on.

    Two runs with the same digest are the same to the last bit: weights, averaged weights, optimiser, schedule,
    callbacks, sums of metrics. Paths, times and how Lightning counts its loops stand outside.
    """
    sha = hashlib.sha256()
    for place, value in sorted(leaves(checkpoint)):
        if isinstance(value, Tensor):
            data = value.detach().cpu().contiguous()
            sha.update(f"{place}:{data.dtype}{list(data.shape)}".encode())
            sha.update(data.flatten().view(torch.uint8).numpy().tobytes())
        else:
            sha.update(f"{place}:{value!r}".encode())
    return sha.hexdigest()


OUTSIDE = ("membrane", "loops", "seconds", "bytes")
"""What has no part in the digest: the configuration, loop counters, times, and the length of a table with times."""


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested mappings and lists, with its place."""
    if isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in OUTSIDE:
                yield from leaves(inner, f"{place}/{key}")
    else:
        yield place, value
