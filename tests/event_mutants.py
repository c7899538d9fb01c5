"""Damaged event files, each the same for the same format and number, and what the readers make of them."""

import random
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import event_files as files
import numpy as np

from membrane.data.events.reading import decode_events
from membrane.errors import DataError

EXTREMES = (0, 1, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LINES = (b" end\n", b"\n", b" Version 1\n", b" Width 0\n", b" Height 99999999999999999999\n", b" geometry 1x\n")
LINES += (b" geometry 4x4\r\n", b" evt 3.0\n", b" format EVT2;width=;height=x\n", b"Format: zip\n", b"Source 1: \xff\n")
LINES += (b"!END-HEADER\r\n", b"!END-HEADER", b" " * 5000, b" \0\n", b"!AER-DAT9.9\n", b" x" * 600_000)
SAMPLES = {
    name: (suffix, write(files.recording(300, width, height)))
    for name, (suffix, width, height, write) in files.WRITERS.items()
}
MARKS = {"dat": b"%", "evt2": b"%", "evt3": b"%", "aedat2": b"#", "aedat3": b"#"}
MEMORY = 1 << 20, 500
"""Bytes that reading may take whatever the file's size, and for each byte of it: a vector of EVT3 holds 12 events."""


Way = Callable[[bytearray, random.Random], None]


@dataclass(frozen=True)
class Outcome:
    """The line with which a file was refused, or None; and the most memory that reading it took, in bytes."""

    refused: str | None
    memory: int


def flip(content: bytearray, generator: random.Random) -> None:
    for _ in range(generator.randint(1, 8)):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)


def overwrite(content: bytearray, generator: random.Random) -> None:
    """Put an extreme number, of a length, somewhere."""
    size = generator.choice((1, 2, 4))
    number = generator.choice(EXTREMES) & (1 << 8 * size) - 1
    at = generator.randrange(len(content))
    content[at : at + size] = number.to_bytes(size, generator.choice(("little", "big")))  # type: ignore[arg-type]


def cut(content: bytearray, generator: random.Random) -> None:
    del content[generator.randrange(len(content)) :]


def move(content: bytearray, generator: random.Random) -> None:
    """Take a piece from somewhere, and put it somewhere else or nowhere."""
    at = generator.randrange(len(content))
    piece = content[at : at + generator.choice((1, 2, 4, 8, 28, 300))]
    if generator.random() < 0.7:
        del content[at : at + len(piece)]
    if generator.random() < 0.7:
        at = generator.randrange(len(content) + 1)
        content[at:at] = piece


def prolong(content: bytearray, generator: random.Random) -> None:
    content += generator.randbytes(generator.choice((1, 3, 8, 64, 1000)))


def change_header(content: bytearray, generator: random.Random, mark: bytes) -> None:
    """Insert a line between others of the header, or take a part of one away."""
    starts = [0, *(at + 1 for at in range(min(len(content), 300)) if content[at : at + 1] == b"\n")]
    at = generator.choice(starts)
    if generator.random() < 0.7:
        content[at:at] = mark + generator.choice(LINES)
    else:
        del content[at : at + generator.randint(1, 30)]


def mutant(name: str, number: int) -> bytes:
    """The numbered mutant of a format's sample."""
    further: list[Way] = []
    if name in MARKS:
        further = [lambda content, generator: change_header(content, generator, MARKS[name])]
    return mutated(SAMPLES[name][1], random.Random(f"{name} {number}"), further)


def mutated(sample: bytes, generator: random.Random, further: Sequence[Way] = ()) -> bytes:
    """A file changed in one to three ways, the common ones or further ones."""
    content = bytearray(sample)
    ways: list[Way] = [flip, overwrite, cut, move, prolong, *further]
    for _ in range(generator.randint(1, 3)):
        if content:
            generator.choice(ways)(content, generator)
    return bytes(content)


def outcome(name: str, content: bytes, number: int = 0) -> Outcome:
    """Read a file, and check that it is refused in a line or gives sound events, in little memory."""
    file = files.event_file(content, f"mutant{SAMPLES[name][0]}")
    backwards = ("refuse", "sort", "keep")[number % 3]
    refused = None
    tracemalloc.start()
    try:
        t, *others = decode_events(file, backwards=backwards)
    except DataError as error:
        refused = str(error)
        at = refused.removeprefix(f"{file.path}: byte ").partition(":")[0]
        assert "\n" not in refused
        assert 0 <= int(at) <= len(content)
    else:
        assert [column.dtype.name for column in (t, *others)] == ["int64", "uint16", "uint16", "uint8"]
        assert all(column.shape == t.shape for column in others)
        assert not len(t) or (others[2].max() <= 1 and t.min() >= 0)
        assert backwards == "keep" or not (np.diff(t) < (-4095 if name == "evt3" else 0)).any()
    finally:
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert memory <= MEMORY[0] + MEMORY[1] * len(content), f"{memory} bytes of memory"
    return Outcome(refused, memory)
