"""The format of N-MNIST and N-Caltech101 (`.bin`, `.bs2`)."""

import numpy as np

from membrane.data.events.formats.source import Decoded, EventFile
from membrane.data.events.recording import Events

SIZE = 5  # bytes
SENSOR = (256, 240)  # the ATIS has 304 columns, of which a byte addresses 256


def decode_nmnist(file: EventFile) -> Decoded:
    """Decode events of 5 bytes: x, y, then big-endian a bit of polarity and 23 bits of time in µs.

    Orchard et al. 2015, Converting static image datasets to spiking neuromorphic datasets using saccades, Front.
    Neurosci. 9:437. Raises DataError if the last event is cut off.
    """
    file.records(0, SIZE, "the last event")
    rows = np.frombuffer(file.content, np.uint8).reshape(-1, SIZE)
    t = rows[:, 1:].view(">u4")[:, 0].astype(np.int64)  # y, polarity and time
    t &= 0x7FFFFF
    events = Events(t, rows[:, 0].astype(np.uint16), rows[:, 1].astype(np.uint16), rows[:, 2] >> 7)
    return Decoded(events, SENSOR, lambda event: event * SIZE)
