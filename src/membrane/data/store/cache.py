"""A data set as arrays on disk: converted once, and from then on mapped into memory.

An entry of the cache is a folder whose name is a digest of everything that shapes its arrays: the parameters and the
contents of the source files. It holds a file a column and ``manifest.json``, and takes its name when it is whole.
"""

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
from membrane.data.store.identity import file_digests
from membrane.data.store.location import data_cache
from membrane.errors import DataError, one_line
from membrane.files import durable
from membrane.files.lock import Occupied, hold_lock

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

    Raises DataError for a source file that cannot be read, and what the parts raise while they are converted.

    Arguments:
        root: ``paths.data``.
        name: of the data set.
        parameters: all that shapes the arrays beside the files, as JSON, with a version of the code that converts.
        files: the source files.
        parts: train and test, or train, validation and test, in order.
        scale: the factor of x.
        classes: the names of the classes.
    """
    folder = data_cache(root) / name
    digests = file_digests(files, folder / "sources.json")
    sources = [[os.path.relpath(path, root), digest] for path, digest in sorted(digests.items())]
    shaping = {"format": FORMAT, "parameters": parameters, "scale": scale, "sources": sources}
    entry = folder / hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]
    with built_once(entry):
        if not is_whole(entry):
            log.info("cache: converting %s (%d files) to %s", name, len(files), entry)
            build_entry(entry, parts, scale, dict(parameters))
    return tuple(read_part(entry, part, scale, classes) for part in parts)


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
    try:
        for part, description in read_manifest(entry)["parts"].items():
            for column, form in description["columns"].items():
                opened(entry / f"{part}.{column}", form, mapped=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("cache: %s is damaged and will be built anew (%s)", entry, error)
        return False
    return True


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
    shutil.rmtree(entry, ignore_errors=True)
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
    manifest: dict[str, Any] = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise ValueError(f"format {manifest.get('format')}, not {FORMAT}")
    return manifest
