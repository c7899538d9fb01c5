"""WAV files of 16-bit PCM, read with every length checked against the file."""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membrane.errors import DataError

LIMIT = 1 << 24
"""Bytes of a file at most, 16 MiB: nine minutes at 16 kHz."""
PCM, EXTENSIBLE = 1, 0xFFFE
SUBFORMAT = 24  # byte of the fmt chunk at which an extensible format has its own number


class RiffChunk(NamedTuple):
    """A chunk of a RIFF file: its name, and where its content begins and ends."""

    name: bytes
    start: int
    end: int


def read_wav(path: Path, rate: int) -> NDArray[np.int16]:
    """Read a WAV file of one channel of 16-bit PCM at ``rate`` Hz → int16 [n], n ≥ 1.

    Raises DataError, with file and byte, for other sound, a length that the file has not, or more than 16 MiB.
    """
    try:
        if path.exists() and not path.is_file():  # a device has no end
            raise DataError(f"{path}: not a file")
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > LIMIT:
        raise DataError(f"{path}: byte {LIMIT}: longer than the {LIMIT} bytes that are read of a WAV file")
    return decode_wav(path, content, rate)


def decode_wav(path: Path, content: bytes, rate: int) -> NDArray[np.int16]:
    """Decode a WAV file in memory, as `read_wav`."""
    chunks = wav_chunks(path, content)
    form, data = (chunks.get(name) for name in (b"fmt ", b"data"))
    if form is None or data is None or data.start < form.start:
        missing = "fmt" if form is None else "data"
        raise damaged_wav(path, len(content), f"the file ends without its {missing} chunk behind the header")
    check_sound(path, content, form, rate)
    count, rest = divmod(data.end - data.start, 2)
    if rest or not count:
        raise damaged_wav(path, data.start, f"{data.end - data.start} bytes of sound, samples of 2 bytes expected")
    return np.frombuffer(content, "<i2", count, data.start).astype(np.int16)


def wav_chunks(path: Path, content: bytes) -> dict[bytes, RiffChunk]:
    """Return the chunks of a WAV file by name, the first of each. Raises DataError for one that the file ends in."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise damaged_wav(path, 0, f"no WAV file: begins with {content[:12]!r}, b'RIFF….WAVE' expected")
    chunks: dict[bytes, RiffChunk] = {}
    at = 12
    while len(content) - at >= 8:
        name, size = struct.unpack_from("<4sI", content, at)
        chunk = RiffChunk(name, at + 8, at + 8 + size)
        if chunk.end > len(content):
            left = len(content) - chunk.start
            raise damaged_wav(path, at + 4, f"a chunk {name!r} of {size} bytes by its header, {left} follow")
        chunks.setdefault(name, chunk)
        at = chunk.end + size % 2  # chunks begin at even bytes
    return chunks


def check_sound(path: Path, content: bytes, form: RiffChunk, rate: int) -> None:
    """Raise DataError unless the fmt chunk says one channel of 16-bit PCM at ``rate`` Hz."""
    if form.end - form.start < 16:
        raise damaged_wav(path, form.start, f"a fmt chunk of {form.end - form.start} bytes, 16 expected")
    encoding, channels, sampled, _, _, bits = struct.unpack_from("<HHIIHH", content, form.start)
    if encoding == EXTENSIBLE and form.end - form.start >= SUBFORMAT + 2:
        (encoding,) = struct.unpack_from("<H", content, form.start + SUBFORMAT)
    for at, what, value, expected in (
        (0, "encoding", encoding, PCM),
        (2, "channels", channels, 1),
        (4, "Hz", sampled, rate),
        (14, "bits a sample", bits, 16),
    ):
        if value != expected:
            raise damaged_wav(path, form.start + at, f"{what}: {value}, {expected} expected")


def damaged_wav(path: Path, byte: int, why: str) -> DataError:
    """Build the error for a file that is not the WAV that was expected."""
    return DataError(f"{path}: byte {byte}: {why}")
