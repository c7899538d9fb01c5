"""Damaged WAV files, each the same for the same number, and what the reader makes of them."""

import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
from event_mutants import Outcome, mutated

from membrane.data.sound.wav import decode_wav
from membrane.errors import DataError

PATH = Path("mutant.wav")
FORM = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
MEMORY = 1 << 16, 8
"""Bytes that reading may take whatever the file's size, and for each byte of it."""


def wav_sample() -> bytes:
    sound = np.random.default_rng(0).integers(-(2**15), 2**15, 100).astype("<i2").tobytes()
    content = b"WAVE" + FORM + struct.pack("<4sI4s", b"LIST", 4, b"INFO") + struct.pack("<4sI", b"data", 200) + sound
    return struct.pack("<4sI", b"RIFF", len(content)) + content


SAMPLE = wav_sample()


def wav_mutant(number: int) -> bytes:
    """The numbered mutant of the sample."""
    return mutated(SAMPLE, random.Random(f"wav {number}"))


def wav_outcome(content: bytes, number: int = 0) -> Outcome:
    """Decode a file, and check that it is refused in a line or gives sound, in little memory."""
    refused = None
    tracemalloc.start()
    try:
        sound = decode_wav(PATH, content, 8000)
    except DataError as error:
        refused = str(error)
        at = refused.removeprefix(f"{PATH}: byte ").partition(":")[0]
        assert "\n" not in refused
        assert 0 <= int(at) <= len(content)
    else:
        assert (sound.dtype, sound.ndim) == (np.dtype(np.int16), 1)
        assert 0 < sound.nbytes <= len(content)
    finally:
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert memory <= MEMORY[0] + MEMORY[1] * len(content), f"{memory} bytes of memory"
    return Outcome(refused, memory)
