"""The original files of a data set: used where they are, otherwise downloaded, checked and unpacked."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from membrane.data.origins import ORIGINS, Origin
from membrane.data.origins.origin import first_there
from membrane.data.store.download import READ_SECONDS, download, kept_digest
from membrane.data.store.identity import file_digests
from membrane.data.store.location import remembered_digests
from membrane.data.store.unpacking import unpack
from membrane.errors import DataError
from membrane.files.digest import file_digest


def original_file(root: Path, origin: Origin, name: str) -> Path:
    """Return the path of a data set's file, or of one that is read in its place; download it if there is none.

    Its digest is compared when it is new or has changed. Raises DataError if the file is not to be had, or damaged.
    """
    path = located_file(root, origin, name)
    if path.name == Path(name).name and (line := digest_mismatch(root, origin, name, path)):
        raise damaged_file(path, line, origin)
    return path


def original_content(root: Path, origin: Origin, name: str) -> Path:
    """Return the first of what is read of a data set's archive, which is unpacked, and downloaded, if there is none.

    Raises DataError as `original_file`.
    """
    file = origin.file(name)
    path = first_there(root, origin.contents(file))
    if path is None:
        folder, archive = root / origin.name / file.unpacked, original_file(root, origin, name)
        try:
            unpack(archive, folder, [form.removeprefix(f"{file.unpacked}/") for form in file.forms])
        except DataError as error:
            raise DataError(f"{error}; {origin.remedy(archive)}") from error
        path = first_there(root, origin.contents(file))
        if path is None:
            raise damaged_file(folder.joinpath(*file.forms[:1]), "missing", origin)
    return path


def file_or_folder(root: Path, origin: Origin, name: str) -> Path:
    """Return the folder that is read in the place of a data set's archive, or the archive, which is read as it is.

    It is downloaded if there is neither. Raises DataError as `original_file`.
    """
    return first_there(root, origin.contents(origin.file(name))) or original_file(root, origin, name)


def located_file(root: Path, origin: Origin, name: str, seconds: float = READ_SECONDS) -> Path:
    """Return the path of a data set's file as `original_file`, but unchecked, for a reader that checks what it reads.

    ``seconds`` is the longest silence of a server.
    """
    file = origin.file(name)
    own = [file.name, *(form for form in file.forms if not (file.unpacked or form.endswith("/")))]
    folders = (origin.name, *origin.folders)
    path = first_there(root, (f"{folder}/{each}".lstrip("/") for folder in folders for each in own))
    if path is None:
        path = root / origin.name / name
        if not file.urls:
            raise DataError(f"{path}: missing; {origin.advice(root, name)}")
        if failures := download(path, file.urls, file.digest, seconds):
            raise DataError(f"{path}: missing, and could not be downloaded ({failures}); {origin.advice(root, name)}")
    return path


def digest_mismatch(root: Path, origin: Origin, name: str, path: Path) -> str:
    """Return how the digest of a file differs from the published one, or from that of its first download.

    Empty if it does not, or if none is known. The file is read again only when it has changed.
    """
    expected = origin.file(name).digest or kept_digest(path)
    if expected is None:
        return ""
    algorithm, _, digest = expected.partition(":")
    remembered = remembered_digests(root, origin.name, f"{algorithm}.json")
    actual = file_digests([path], remembered, algorithm)[str(path)]
    return "" if actual == digest else mismatch_text(algorithm, actual, digest, path.stat().st_size)


def verify_originals(root: Path, origin: Origin) -> Iterator[tuple[Path, str]]:
    """Yield each file of a data set that is there as it was published, and what is wrong with it: empty for nothing.

    All of it is read. Files of which no digest is known are left out.
    """
    for file in origin.files:
        for folder in (origin.name, *origin.folders):
            path = root / folder / file.name
            if path.is_file():
                algorithm, _, digest = (file.digest or kept_digest(path) or "").partition(":")
                if not digest:
                    continue
                actual = file_digest(path, algorithm)
                right = actual == digest
                yield path, "" if right else mismatch_text(algorithm, actual, digest, path.stat().st_size)


def mismatch_text(algorithm: str, actual: str, expected: str, size: int) -> str:
    """Return one clause on a file with another digest than expected."""
    return f"{algorithm} is {actual}, the original's is {expected} ({size} bytes)"


def read_verified(path: Path, md5: str | None) -> bytes:
    """Read a file. Raises DataError if it cannot be read, or has another md5 (None: not checked)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 is not None else None
    if actual is not None and md5 is not None and actual != md5:
        raise damaged_file(path, mismatch_text("md5", actual, md5, len(content)))
    return content


def damaged_file(path: Path, why: str, origin: Origin | None = None) -> DataError:
    """Build the error for a file that exists but is not the original, with what helps, as its data set says.

    ``origin`` is that of the data set; None: the folder tells.
    """
    if origin is None:
        closest = max(ORIGINS.values(), key=lambda each: match_length(each, path))
        origin = closest if match_length(closest, path) else None
    return DataError(f"{path}: {why}; {origin.remedy(path) if origin else 'replace it by the original'}")


def match_length(origin: Origin, path: Path) -> int:
    """Return the length of the longest of a data set's folders and files that a path leads into, or to; 0 for none."""
    folders = [f"{folder}/" for folder in (origin.name, *origin.folders) if folder]
    every = [*folders, *(each for file in origin.files for each in origin.paths(file))]
    whole = f"/{path.as_posix()}"
    inside = {each: f"/{each}" in f"{whole}/" if each.endswith("/") else whole.endswith(f"/{each}") for each in every}
    return max((len(each) for each, leads in inside.items() if leads), default=0)
