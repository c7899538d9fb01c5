"""A data set as arrays on disk: converted once, and from then on mapped into memory.

An entry of the cache is a folder whose name is a digest of everything that shapes its arrays: the parameters and the
contents of the source files. It holds a file a column and ``manifest.json``, and takes its name when it is whole.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from membrane.data.feed.checking import check_finite
from membrane.data.samples import COLUMNS, Samples
from membrane.data.store.columns import GrowingColumn, opened
from membrane.data.store.conversion import Columns
from membrane.data.store.entries import remove_columns
from membrane.data.store.identity import file_digests
from membrane.data.store.location import own_cache, readable_caches, writable_cache
from membrane.errors import DataError, one_line
from membrane.files import durable
from membrane.files.capped import JSON_BYTES, read_capped
from membrane.files.json_text import parse_json
from membrane.files.lock import Occupied, hold_lock
from membrane.files.presence import is_folder

FORMAT = 1
"""Of the entries; those of another format are not read."""
PAUSE = 0.2
"""Seconds between two looks at an entry that another process builds."""

log = logging.getLogger(__name__)
Parts = Mapping[str, Callable[[], Iterator[Columns]]]
"""Part → its samples, recording by recording."""


def load_cached(
    root: Path,
    name: str,
    parameters: Mapping[str, Any],
    files: Sequence[Path],
    parts: Parts,
    *,
    scale: float = 1.0,
    classes: Sequence[str] | None = None,
) -> tuple[Samples, ...]:
    """Return the parts of a data set from the cache, which is filled if it has them not; x is mapped from a file.

    Where no cache can be written, they are converted to a temporary file that nothing is left of at the end. Raises
    DataError for a source file that cannot be read, if there is no room, and what the parts raise meanwhile.

    Arguments:
        root: ``paths.data``.
        name: of the data set.
        parameters: all that shapes the arrays beside the files, as JSON, with a version of the code that converts.
        files: the source files.
        parts: train and test, or train, validation and test, in order.
        scale: the factor of x.
        classes: the names of the classes.
    """
    folder = writable_cache(root)
    digests = file_digests(files, None if folder is None else folder / name / "sources.json")
    sources = [[os.path.relpath(path, root), digest] for path, digest in sorted(digests.items())]
    shaping = {"format": FORMAT, "parameters": parameters, "scale": scale, "sources": sources}
    key = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    def build(entry: Path) -> None:
        build_entry(entry, parts, scale, dict(parameters))

    with built_entry(root, folder, Path(name, key), build, f"{name} ({len(files)} files)") as entry:
        return tuple(read_part(entry, part, scale, classes) for part in parts)


@contextmanager
def built_entry(
    root: Path, folder: Path | None, path: Path, build: Callable[[Path], None], what: str
) -> Iterator[Path]:
    """Yield a whole entry, at ``path`` in any cache of the data in ``root``; if there is none, ``build`` makes it.

    It does so in ``folder``, or, if that is None, in a temporary folder, which is removed at the end: what was mapped
    inside stays.
    """
    others = [each / path for each in readable_caches(root) if each != folder]
    kept = next((each for each in others if is_folder(each) and not entry_flaw(each)), None)
    if kept is not None:
        yield kept
    elif folder is None:
        with temporary_folder(root) as temporary:
            log.warning("cache: cannot be written; converting %s to %s, for this start alone", what, temporary)
            with room_needed(temporary):
                build(temporary / path.name)
            yield temporary / path.name
    else:
        entry = folder / path
        with built_once(entry), room_needed(folder):
            if not is_whole(entry):
                log.info("cache: converting %s to %s", what, entry)
                build(entry)
        yield entry


@contextmanager
def temporary_folder(root: Path) -> Iterator[Path]:
    """Yield a private folder, removed at the end. Raises DataError if there is none to be had."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="membrane-", ignore_cleanup_errors=True)
    except OSError as error:
        where = f"{root}, {own_cache()} and {os.environ.get('TMPDIR', 'the folder of temporary files')}"
        raise DataError(f"no folder for converted data can be written: none of {where}") from error
    with folder as name:
        yield Path(name)


@contextmanager
def room_needed(folder: Path) -> Iterator[None]:
    """Raise DataError if a disk is full inside."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(f"{folder}: no room for converted data ({error.strerror}); nothing was kept") from error


@contextmanager
def built_once(entry: Path) -> Iterator[None]:
    """Hold the entry's lock inside, unless it is whole already; wait while another process builds it."""
    waiting = False
    while not is_whole(entry):
        try:
            with hold_lock(entry.with_suffix(".lock"), str(entry)):
                yield
                return
        except Occupied:
            if not waiting:
                log.info("cache: waiting for another process that builds %s", entry)
            waiting = True
            time.sleep(PAUSE)
    yield


def is_whole(entry: Path) -> bool:
    """Return whether the entry is there with all its files in their sizes; a line tells of one that is damaged."""
    if not entry.is_dir():
        return False
    if flaw := entry_flaw(entry):
        log.warning("cache: %s is damaged and will be built anew (%s)", entry, flaw)
    return not flaw


def entry_flaw(entry: Path) -> str:
    """Return what an entry lacks of its files in their sizes; empty for nothing."""
    try:
        for part, description in read_manifest(entry)["parts"].items():
            for column, form in description["columns"].items():
                opened(entry / f"{part}.{column}", form, mapped=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return str(error) or type(error).__name__
    return ""


def entry_damage(entry: Path) -> str:
    """Return what is wrong with an entry, of which all is read and compared with its digest; empty for nothing."""
    try:
        manifest = read_manifest(entry)
        for part, description in manifest["parts"].items():
            samples = mapped_samples(entry, part, description, manifest["scale"], None)
            if samples.digest() != description["digest"]:
                return f"the {part} part is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"cannot be read ({one_line(error)})"
    return ""


def build_entry(entry: Path, parts: Parts, scale: float, parameters: dict[str, Any]) -> None:
    """Write an entry under another name beside, check and hash it, and give it its name."""
    if entry.is_dir():
        remove_columns(entry)
    for left in entry.parent.glob(f".{entry.name}.*"):  # of a process that was killed; this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        manifest: dict[str, Any] = {"format": FORMAT, "parameters": parameters, "scale": scale, "parts": {}}
        for part, recordings in parts.items():
            manifest["parts"][part] = write_part(beside, part, recordings())
        for part, description in manifest["parts"].items():
            samples = mapped_samples(beside, part, description, scale, None)
            check_finite(part, "x", samples.x, scale, samples.count_read)
            description["digest"] = samples.digest()
        durable.write_json(beside / "manifest.json", manifest)
        beside.chmod(0o755)  # data are shared, temporary folders are not
        for other in entry.iterdir() if entry.is_dir() else []:  # the person's own
            other.rename(beside / other.name)
        beside.rename(entry)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def write_part(folder: Path, part: str, recordings: Iterator[Columns]) -> dict[str, Any]:
    """Write the columns of a part and return their types and shapes. Raises DataError if there is no recording."""
    growing: dict[str, GrowingColumn] = {}
    try:
        for columns in recordings:
            for column, rows in columns.items():
                if column not in growing:
                    growing[column] = GrowingColumn(folder / f"{part}.{column}")
                growing[column].append(np.asarray(rows))
    finally:
        forms = {column: each.close() for column, each in growing.items()}
    if not forms:
        raise DataError(f"the {part} part has no recordings")
    return {"columns": forms}


def read_part(entry: Path, part: str, scale: float, classes: Sequence[str] | None) -> Samples:
    """Return a part of a whole entry, with the digest that was stored."""
    description = read_manifest(entry)["parts"][part]
    samples = mapped_samples(entry, part, description, scale, classes)
    samples.fill(stored_digest=description["digest"])
    return samples


def mapped_samples(
    folder: Path, part: str, description: Mapping[str, Any], scale: float, classes: Sequence[str] | None
) -> Samples:
    """Return a part's columns as samples: x mapped from its file, the others in memory."""
    columns: dict[str, Any] = {
        column: opened(folder / f"{part}.{column}", description["columns"][column], mapped=column == "x")
        for column in COLUMNS
        if column in description["columns"]
    }
    for column in columns.keys() - {"x"}:
        values = columns[column]
        columns[column] = torch.from_numpy(values.astype(np.int64) if values.dtype.kind in "iu" else values)
    return Samples(**columns, scale=scale, classes=classes)


def read_manifest(entry: Path) -> dict[str, Any]:
    """Return the description of an entry. Raises ValueError if it has another format."""
    manifest = parse_json(read_capped(entry / "manifest.json", JSON_BYTES))
    recorded = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or recorded != FORMAT:
        raise ValueError(f"format {recorded}, not {FORMAT}")
    return manifest
