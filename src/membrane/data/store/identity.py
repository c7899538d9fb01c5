"""Digests of source files, which are read again only when a file has changed."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from membrane.errors import DataError
from membrane.files import durable
from membrane.files.capped import JSON_BYTES, read_capped
from membrane.files.digest import file_digest
from membrane.files.json_text import parse_json


def file_digests(files: Sequence[Path], remembered: Path | None, algorithm: str = "sha256") -> dict[str, str]:
    """Return the digest of each file by its path.

    ``remembered`` holds those of earlier calls; they count as long as a file has the same size, times and place on the
    disk; None: nothing is remembered. The time of its last change counts beside that of its content, which programs set
    back. Raises DataError for a file that cannot be read.
    """
    before = {} if remembered is None else read_digests(remembered)
    now: dict[str, list[str]] = {}
    for path in files:
        try:
            stat = path.stat()
            state = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino} {stat.st_dev}"
            earlier, digest = before.get(str(path), ["", ""])
            now[str(path)] = [state, digest if earlier == state else file_digest(path, algorithm)]
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if remembered is not None and any(before.get(path) != entry for path, entry in now.items()):
        with suppress(OSError):  # where it cannot be written, the files are read again next time
            durable.write_json(durable.in_real_folder(remembered), before | now)
    return {path: digest for path, (_, digest) in now.items()}


def files_identity(files: Sequence[Path], remembered: Path | None) -> str:
    """Return one SHA-256 for the contents of files and their names; see `file_digests`."""
    digests = file_digests(files, remembered)
    named = sorted(f"{Path(path).name} {digest}" for path, digest in digests.items())
    return hashlib.sha256("\n".join(named).encode()).hexdigest()


def read_digests(remembered: Path) -> dict[str, list[str]]:
    """Return the digests of earlier calls; none if the file is missing or is not what `file_digests` writes."""
    try:
        content = parse_json(read_capped(remembered, JSON_BYTES))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {path: entry for path, entry in content.items() if isinstance(entry, list) and len(entry) == 2}
