"""AEDAT 2.0 of a DVS128 (`.aedat`), the format of CIFAR10-DVS."""

import numpy as np

from membrane.data.events.formats.source import Decoded, EventFile, unwrapped
from membrane.data.events.recording import Events

SIZE = 8  # bytes
SENSOR = (128, 128)
ADDRESS = 0xFFFF  # of a DVS128; cameras with more pixels use more bits
SPECIAL = 0x8000  # an external signal, no pixel


def decode_aedat2(file: EventFile) -> Decoded:
    """Decode a header of `#` lines, then events of two big-endian u32: address, and time in µs, which wraps.

    The address of a DVS128 holds a bit that is 0 for ON, x (7 bits) and y (7 bits). CIFAR10-DVS's camera lay on its
    side and counts from the other corner: the columns are 127 − y, the rows 127 − x, as in SpikingJelly. External
    signals are left out. Raises DataError for addresses that a DVS128 does not have, and if the last event is cut off.
    """
    start = file.header(b"#").end
    file.records(start, SIZE, "the last event")
    words = np.frombuffer(file.content, ">u4", offset=start).reshape(-1, 2)
    address = words[:, 0].astype(np.uint32)
    if (foreign := address > ADDRESS).any():
        first = int(foreign.argmax())
        raise file.damaged(start + first * SIZE, f"address {address[first]:#x}, which a DVS128 does not have")
    at = np.flatnonzero(address < SPECIAL)
    t = words[at, 1].astype(np.int64)
    if (t[1:] < t[:-1]).any():
        t = unwrapped(t, 32)
    address = address[at]
    x, y = ((127 - (address >> shift & 0x7F)).astype(np.uint16) for shift in (8, 1))
    p = (~address & 1).astype(np.uint8)
    return Decoded(Events(t, x, y, p), SENSOR, lambda event: start + int(at[event]) * SIZE)
