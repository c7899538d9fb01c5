"""Data sets of event recordings: found by name, converted once to frames, and cached."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple

from membrane.data.events.formats.source import EventFile
from membrane.data.events.framing import Framing
from membrane.data.events.reading import EVENT_SUFFIXES, Backwards, decode_events
from membrane.data.events.recording import Events
from membrane.data.origins import ORIGINS
from membrane.data.samples import Samples
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns, converted
from membrane.data.store.originals import OriginalFile, ZippedFile, files_inside
from membrane.data.store.sources import damaged_file, file_or_folder
from membrane.files.digest import sha256

Items = Mapping[str, Sequence[Any]]
"""Part → the items that it consists of, a recording or several of one file each, in order."""


class Inventory(NamedTuple):
    """The files and items that a data set consists of.

    Arguments:
        files: all files that are read; a second start looks at nothing else.
        items: returns the items of all parts.
        classes: names of the classes.
    """

    files: Sequence[Path]
    items: Callable[[], Items]
    classes: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class EventSet(Framing, ABC):
    """Recordings as frames, x [n,T,C,…]; T re-bins them. A data set says where they are and how one is read.

    Raises ConfigError as `Framing`.
    """

    name: ClassVar[str]
    """That of its choice, of its folder in the cache, and of its entry in `ORIGINS`."""
    parts: ClassVar[tuple[str, ...]] = ("train", "test")
    version: ClassVar[int] = 1
    """Of the conversion: arrays that were converted by another one are not used."""

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return the parts. Raises DataError if a file is missing or damaged, ConfigError if ``timesteps`` < 1."""
        files, listed, classes = self.inventory(root)
        items = cache(listed)
        convert = partial(self.columns, timesteps=timesteps)
        settings = asdict(self)
        if not self.silence:  # a later setting: what was cached before it existed is used
            del settings["silence"]
        parameters = {"version": self.version, "timesteps": timesteps, **settings, **foreign_code(type(self))}

        def conversion(part: str) -> Iterator[Columns]:
            yield from converted(items()[part], convert, files, f"{self.name}, {part} part")

        conversions = {part: partial(conversion, part) for part in self.parts}
        return load_cached(root, self.name, parameters, files, conversions, classes=classes)

    @abstractmethod
    def inventory(self, root: Path) -> Inventory:
        """Return what there is. Raises DataError if a file is missing."""

    @abstractmethod
    def columns(self, item: Any, timesteps: int) -> Columns:
        """Return the columns of an item's samples. Raises DataError if it is damaged."""

    def find(self, root: Path, archive: str) -> Path:
        """Return an archive of the data set, or the folder that it was unpacked to; download it if there is neither.

        Raises DataError if it is not to be had.
        """
        return file_or_folder(root, ORIGINS[self.name], archive)


@dataclass(frozen=True, kw_only=True)
class CameraSet(EventSet):
    """Recordings of an event camera as frames, x [n,T,2,H,W].

    Arguments (`FrameLayout` explains the others):
        backwards: what happens where time runs backwards in a file: it is refused, the default, its events are sorted
            (``sort``), or left in its order (``keep``), as in SpikingJelly.
    """

    sensor: ClassVar[tuple[int, int]]
    """Width and height in pixels."""

    backwards: Backwards = "refuse"

    suffixes: ClassVar[tuple[str, ...]] = EVENT_SUFFIXES

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return the samples of an event file of any format. Raises DataError if it is damaged."""
        return self.camera_columns(self.events(path), self.sensor, timesteps)

    def columns(self, item: Any, timesteps: int) -> Columns:
        """Return the columns of a `LabelledFile`. Raises DataError if its file is damaged."""
        return self.camera_columns(self.events(item.file), self.sensor, timesteps, y=item.label)

    def events(self, file: OriginalFile) -> Events:
        """Return the events of a file. Raises DataError if it is damaged."""
        event_file = EventFile(Path(str(file)), file.read()) if isinstance(file, ZippedFile) else EventFile.read(file)
        return decode_events(event_file, self.sensor, self.backwards)


def foreign_code(dataset_class: type) -> dict[str, Any]:
    """Return as ``code`` the digests of the files that a class and its bases are written in, if they are not ours.

    Ours have a ``version``; nobody remembers to raise it when a class of their own changes.
    """
    modules = {each.__module__ for each in dataset_class.__mro__} - sys.stdlib_module_names
    written = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    code = {name: sha256(Path(path)) for name, path in written.items() if path and name.split(".")[0] != "membrane"}
    return {"code": code} if code else {}


def expected_files(original: Path, suffix: str, count: int) -> dict[PurePosixPath, OriginalFile]:
    """Return the files of a folder or archive that end in ``suffix``, by path, in its order.

    Raises DataError if there are not as many as expected.
    """
    files = files_inside(original, suffix)
    if len(files) != count:
        raise damaged_file(original, f"{len(files)} recordings ({suffix}), {count} expected")
    return files
