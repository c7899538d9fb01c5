"""Event files of every format to events, checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from membrane.data.events.formats.aedat2 import decode_aedat2
from membrane.data.events.formats.aedat3 import decode_aedat3
from membrane.data.events.formats.dat import decode_dat
from membrane.data.events.formats.evt2 import decode_evt2
from membrane.data.events.formats.evt3 import decode_evt3
from membrane.data.events.formats.nmnist import decode_nmnist
from membrane.data.events.formats.raw import raw_encoding, raw_header
from membrane.data.events.formats.source import Decoded, EventFile
from membrane.data.events.recording import Events
from membrane.errors import DataError

Backwards = Literal["refuse", "sort", "keep"]
EVENT_SUFFIXES = (".bin", ".bs2", ".dat", ".raw", ".aedat")
RAW = {"EVT2": decode_evt2, "EVT3": decode_evt3}
AEDAT = {b"#!AER-DAT2.0": decode_aedat2, b"#!AER-DAT3.1": decode_aedat3}


def read_events(path: str | Path, sensor: tuple[int, int] | None = None, backwards: Backwards = "refuse") -> Events:
    """Read an event file → `Events`: t int64 in µs on the file's own clock, x and y uint16, p uint8, [n] each.

    | suffix | format, where its header tells them apart |
    |---|---|
    | .bin, .bs2 | N-MNIST, N-Caltech101 |
    | .dat | Prophesee DAT, version 1 or 2 (N-CARS) |
    | .raw | Prophesee EVT2 or EVT3 |
    | .aedat | AEDAT 2.0 of a DVS128 (CIFAR10-DVS) or AEDAT 3.1 (DVS128 Gesture) |

    ``sensor`` is (width, height) in pixels; None: what the file declares, or its format can express. ``backwards`` says
    what happens where time runs backwards: the file is refused, its events are sorted by time (those of equal time keep
    their order), or kept in the file's order. EVT3's steps back of less than 4096 µs are legal, and kept unless sorted.
    Raises DataError for a damaged file, with its name and the byte; ValueError for an unknown ``backwards``.
    """
    return decode_events(EventFile.read(Path(path)), sensor, backwards)


def decode_events(file: EventFile, sensor: tuple[int, int] | None = None, backwards: Backwards = "refuse") -> Events:
    """Decode an event file in memory, as `read_events`."""
    if backwards not in get_args(Backwards):
        raise ValueError(f"backwards must be one of {', '.join(get_args(Backwards))}, not {backwards!r}")
    decoded = format_of(file)(file)
    check_sensor(file, decoded, sensor or decoded.sensor)
    return ordered_events(file, decoded, backwards)


def format_of(file: EventFile) -> Callable[[EventFile], Decoded]:
    """Return the decoder for a file, by its suffix and header. Raises DataError if there is none."""
    suffix = file.path.suffix.lower()
    if suffix in (".bin", ".bs2"):
        return decode_nmnist
    if suffix == ".dat":
        return decode_dat
    if suffix == ".raw":
        return RAW[raw_encoding(file, raw_header(file))]
    if suffix == ".aedat":
        for magic, decoder in AEDAT.items():
            if file.content.startswith(magic):
                return decoder
        raise file.damaged(0, f"{file.content[:12]!r}, but {' or '.join(magic.decode() for magic in AEDAT)} expected")
    raise DataError(f"{file.path}: an event file ends in .bin, .bs2, .dat, .raw or .aedat")


def check_sensor(file: EventFile, decoded: Decoded, sensor: tuple[int, int]) -> None:
    """Raise DataError for the first event that lies outside a sensor of (width, height)."""
    for name, column, side in zip("xy", decoded.events[1:3], sensor, strict=True):
        if len(column) and column.max() >= side:
            first = int((column >= side).argmax())
            where = f"outside the sensor of {sensor[0]}×{sensor[1]} pixels"
            raise file.damaged(decoded.byte_of(first), f"event {first} has {name} {column[first]}, {where}")


def ordered_events(file: EventFile, decoded: Decoded, backwards: Backwards) -> Events:
    """Return the events, sorted by time if wanted. Raises DataError for a step back that is refused."""
    events = decoded.events
    t = events.t
    falls = np.flatnonzero(t[1:] < t[:-1])
    if backwards == "sort" and len(falls):
        order = np.argsort(t, kind="stable")
        return Events(*(column[order] for column in events))
    illegal = falls[t[falls] - t[falls + 1] > decoded.jitter]
    if backwards == "refuse" and len(illegal):
        last = int(illegal[0])
        steps = f"from {t[last]} to {t[last + 1]} µs at event {last + 1}, one of {len(illegal)} such steps"
        raise file.damaged(
            decoded.byte_of(last + 1), f"time runs backwards {steps}; backwards='sort' sorts the events by time"
        )
    return events
