"""UCI-HAR: what people do, from the accelerometer and gyroscope of the phone at their waist."""

import lzma
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from membrane.data.origins import ORIGINS
from membrane.data.origins.origin import first_there
from membrane.data.samples import Samples
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns
from membrane.data.store.sources import damaged_file, original_content

SIGNALS = tuple(f"{signal}_{axis}" for signal in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
COUNTS = {"train": 7352, "test": 2947}
SAMPLES, ACTIVITIES, SUBJECTS = 128, 6, 30


class UCIHAR:
    """7352 training and 2947 test windows of 2.56 s, x float32 [n,9,128] in g and rad/s, 6 activities, 30 subjects.

    Channels are body acceleration, angular velocity and total acceleration, each along x, y and z, at 50 Hz; windows
    overlap by half. The official parts have different subjects (21 and 9); ``group`` is the subject, so that validation
    is by subject too. Anguita, Ghio, Oneto, Parra & Reyes-Ortiz 2012, IWAAL.
    """

    classes = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train, test). Raises DataError if a file is missing or damaged; ``timesteps`` do not matter."""
        folder = inertial_folder(root)
        files = {part: inertial_files(folder, part) for part in COUNTS}
        parts = {part: lambda part=part: iter([read_windows(files[part], COUNTS[part])]) for part in COUNTS}
        every = [path for paths in files.values() for path in paths.values()]
        return load_cached(root, "uci_har", {"version": 1}, every, parts, classes=self.classes)


def inertial_folder(root: Path) -> Path:
    """Return the folder of both parts, unpacked from the archive if there is none. Raises DataError if that fails."""
    signals = original_content(root, ORIGINS["uci_har"], "UCI HAR Dataset.zip")  # of the training part
    return signals.parent.parent


def inertial_files(folder: Path, part: str) -> dict[str, Path]:
    """Return the files of a part by signal, ``y`` and ``subject``. Raises DataError if one is missing."""
    names = {signal: f"{part}/Inertial Signals/{signal}_{part}.txt" for signal in SIGNALS}
    names |= {column: f"{part}/{column}_{part}.txt" for column in ("y", "subject")}
    return {column: text_file(folder, name) for column, name in names.items()}


def text_file(folder: Path, name: str) -> Path:
    """Return the path of a file, compressed by xz or not. Raises DataError if it is missing."""
    path = first_there(folder, [name, f"{name}.xz"])
    if path is None:
        raise damaged_file(folder / name, "missing", ORIGINS["uci_har"])
    return path


def read_windows(files: dict[str, Path], count: int) -> Columns:
    """Return the columns of a part of ``count`` windows. Raises DataError for a damaged file."""
    x = np.stack([read_numbers(files[signal], (count, SAMPLES)) for signal in SIGNALS], axis=1).astype(np.float32)
    labels, subjects = (read_numbers(files[column], (count,)).astype(np.int64) for column in ("y", "subject"))
    for column, values, most in (("y", labels, ACTIVITIES), ("subject", subjects, SUBJECTS)):
        if len(wrong := np.flatnonzero((values < 1) | (values > most))):
            line = f"line {wrong[0] + 1} is {values[wrong[0]]}, 1 to {most} expected"
            raise damaged_file(files[column], line, ORIGINS["uci_har"])
    return {"x": x, "y": labels - 1, "group": subjects, "recording": np.arange(count)}


def read_numbers(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Read a text file of numbers [*shape], a row a line. Raises DataError if it holds anything else."""
    size = int(np.prod(shape))
    limit = 24 * size  # bytes; a number takes 17 at most, and a file that unpacks to more is none of the originals
    try:
        with lzma.open(path, mode="rb") if path.suffix == ".xz" else path.open("rb") as file:
            content = file.read(limit + 1)
        numbers = np.array(content.split(), np.float64) if len(content) <= limit else np.empty(0)
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise damaged_file(path, str(error), ORIGINS["uci_har"]) from error
    lines = content.count(b"\n")
    if numbers.size != size or lines != shape[0]:
        wrong = f"{numbers.size} numbers in {lines} lines, {size} in {shape[0]} expected"
        raise damaged_file(path, wrong, ORIGINS["uci_har"])
    return numbers.reshape(shape)
