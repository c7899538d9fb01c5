"""Signs in the values of x that parts of a data set are not as they should be: warnings, for there may be a reason."""

import hashlib
import math
from collections.abc import Iterator

import torch

from membrane.data.feed.checking import comparable
from membrane.data.feed.part import Part

LOOKED_AT = 2**25
"""Bytes of x in all parts together up to which they are compared: 32 MiB delay a start by a fraction of a second."""
AT_ONCE = 1024
"""Samples that are read at a time."""
UNLIKE = 50
"""How many times as large as in another part values may be."""


def warnings_of_values(train: Part, val: Part, test: Part) -> Iterator[str]:
    """Yield a line for samples that are in two parts, value for value, and for values of another size in one of them.

    Parts of more than `LOOKED_AT` bytes are not looked at.
    """
    parts = {name: part for name, part in (("training", train), ("validation", val), ("test", test)) if len(part)}
    if sum(len(part) * math.prod(part.shape) * part.sources[0].x.element_size() for part in parts.values()) > LOOKED_AT:
        return
    digests, largest = zip(*map(digests_and_largest, parts.values()), strict=True)
    learned = set(digests[0])
    for name, own, most in zip([*parts][1:], digests[1:], largest[1:], strict=True):
        if same := sum(digest in learned for digest in own):
            where = "are in the data set's training part too, value for value"
            yield f"{same} of the {name} part's {len(own)} samples {where}"
        if max(most, largest[0]) > UNLIKE * min(most, largest[0]) > 0:
            reach = f"up to {most:.3g}, in the training part up to {largest[0]:.3g}"
            yield f"x of the {name} part has values {reach}: are both in the same unit?"
        learned |= set(own)


def digests_and_largest(part: Part) -> tuple[list[bytes], float]:
    """Return the digests of a part's samples and the largest of all magnitudes, of valid timesteps alone.

    Parts of other types of x have other digests.
    """
    digests, largest = [], 0.0
    for at in torch.split(torch.arange(len(part)), AT_ONCE):
        x = part.gather(part.index[at]).contiguous()
        rows = [*x.view(len(x), -1).view(torch.uint8).numpy()]
        if part.lengths is not None:
            lengths = part.lengths[at]
            rows = [row[: len(row) * valid // x.shape[1]] for row, valid in zip(rows, lengths.tolist(), strict=True)]
            x = x[torch.arange(x.shape[1]) < lengths[:, None]]
        digests += [hashlib.blake2b(row, digest_size=16).digest() for row in rows]
        largest = max(largest, *(abs(float(end)) for end in torch.aminmax(comparable(x))))
    return digests, largest * part.scale
