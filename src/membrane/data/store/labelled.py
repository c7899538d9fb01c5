"""Files that hold a sample each, with their classes."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from membrane.data.store.originals import OriginalFile
from membrane.errors import DataError


class LabelledFile(NamedTuple):
    """A file that holds a recording or a picture, and its class."""

    file: OriginalFile
    label: int


def files_by_class(files: Mapping[PurePosixPath, OriginalFile], classes: Sequence[str]) -> list[LabelledFile]:
    """Return files, each in the folder of its class, in their order. Raises DataError for another folder."""
    labels = {name: label for label, name in enumerate(classes)}
    for path, file in files.items():
        if path.parent.name not in labels:
            raise DataError(f"{file}: in the folder of no class; {', '.join(classes)} are expected")
    return [LabelledFile(file, labels[path.parent.name]) for path, file in files.items()]
