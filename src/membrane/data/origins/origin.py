"""Where a data set comes from: its files with their digests, its terms, and what helps where a file is amiss."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from membrane.files.presence import is_file, is_folder


@dataclass(frozen=True)
class SourceFile:
    """A file as its authors publish it.

    Arguments:
        name: that it has in the data set's folder.
        digest: ``md5:…`` or ``sha256:…``. None where none is known: the digest of the first download is kept then.
        urls: addresses, tried in order; none where a person has to fetch the file.
        unpacked: the folder that `original_content` unpacks it to; empty where it is read as it is.
        forms: what is read in its place, or of its content, by the path in a folder of `Origin`, or in ``unpacked``; a
            folder if it ends in a slash. Without any, ``unpacked`` itself is read.
        optional: whether it is needed under other settings than the default ones alone.
    """

    name: str
    digest: str | None = None
    urls: tuple[str, ...] = ()
    unpacked: str = ""
    forms: tuple[str, ...] = ()
    optional: bool = False

    @property
    def contents(self) -> tuple[str, ...]:
        """Return the paths of what is read in the place of the file, in a folder of `Origin`."""
        if self.unpacked and not self.forms:
            return (f"{self.unpacked}/",)
        return (*self.forms, *(f"{self.unpacked}/{form}" for form in self.forms if self.unpacked))


@dataclass(frozen=True)
class Origin:
    """Where a data set comes from.

    Arguments:
        name: that of the choice, of the folder below ``paths.data``, and of the folder in the cache.
        licence: the terms of use in a few words.
        page: the address that describes the data.
        size: bytes of what has to be fetched, about; 0 where nothing is, None where it is not known.
        files: all that there are; none where the data come with a library.
        folders: below ``paths.data``, that are looked into after its own.
        by_hand: what to do where a file is missing, before "or set paths.data …"; by default, to put the files there.
    """

    name: str
    licence: str
    page: str
    size: int | None = 0
    files: tuple[SourceFile, ...] = ()
    folders: tuple[str, ...] = ()
    by_hand: str = ""

    @property
    def bundled(self) -> bool:
        """Return whether the data come with a library that is installed."""
        return not self.files

    @property
    def downloaded(self) -> bool:
        """Return whether all files are downloaded where they are missing."""
        return not self.bundled and all(file.urls for file in self.files)

    def file(self, name: str) -> SourceFile:
        """Return the file of that name."""
        return next(file for file in self.files if file.name == name)

    def paths(self, file: SourceFile) -> Iterator[str]:
        """Yield the paths below ``paths.data`` that stand for a file; a download goes to the first."""
        for folder in (self.name, *self.folders):
            yield from (f"{folder}/{name}".lstrip("/") for name in (file.name, *file.contents))

    def contents(self, file: SourceFile) -> Iterator[str]:
        """Yield those of `paths` that are read in the place of the file."""
        for folder in (self.name, *self.folders):
            yield from (f"{folder}/{name}".lstrip("/") for name in file.contents)

    def missing(self, root: Path) -> list[str]:
        """Return the names of the files that are needed and for which nothing is there."""
        needed = [file for file in self.files if not file.optional]
        return [file.name for file in needed if first_there(root, self.paths(file)) is None]

    def begun_bytes(self, root: Path) -> int:
        """Return how much of downloads that were broken off is there."""
        parts = [root / self.name / f"{file.name}.part" for file in self.files]
        return sum(part.stat().st_size for part in parts if is_file(part))

    def advice(self, root: Path, missing: str) -> str:
        """Return what helps where a file is missing, for the end of a line."""
        needed = [file.name for file in self.files if not file.optional]
        names = ", ".join(needed if missing in needed else [missing])
        put = self.by_hand or f"put the original {names} from {self.page} into {root / self.name}"
        return f"{put}, or set paths.data to the folder above its own"

    def remedy(self, path: Path) -> str:
        """Return what helps where the file at ``path`` is damaged, for the end of a line."""
        for file in (file for file in self.files if file.urls):
            if file.unpacked and f"/{self.name}/{file.unpacked}/" in path.as_posix():
                return f"delete {self.name}/{file.unpacked}, and the original is downloaded and unpacked"
            if any(path.as_posix().endswith(f"/{end.rstrip('/')}") for end in self.paths(file)):
                kept = f" and {path.name}.sha256" if is_file(path.with_name(f"{path.name}.sha256")) else ""
                return f"delete it{kept}, and the original is downloaded"
        return f"replace it by the original, from {self.page}"


def first_there(root: Path, paths: Iterable[str]) -> Path | None:
    """Return the first of ``paths`` below ``root`` that is there: as a folder if it ends in a slash, or as a file."""
    for path in paths:
        if (is_folder if path.endswith("/") else is_file)(root / path):
            return root / path
    return None
