"""Pictures in files to arrays of pixels."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from membrane.data.store.originals import OriginalFile, ZippedFile
from membrane.errors import DataError

LARGEST_SIDE = 4096
"""Pixels; a picture that declares more is refused before it is unpacked."""


def read_picture(file: OriginalFile, size: int | None = None) -> NDArray[np.uint8]:
    """Return the picture of a file as red, green and blue [3,H,W], scaled to ``size`` pixels a side if there is one.

    Scaling is bilinear, over all pixels that a new one covers. Raises DataError if the file is no picture, or larger
    than LARGEST_SIDE.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        content = file.read() if isinstance(file, ZippedFile) else Path(file).read_bytes()
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "PPM")) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise DataError(f"{file}: declares {picture.width}×{picture.height} pixels, too many")
            colour = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: no picture that can be read: {error}") from error
    if size is not None and colour.size != (size, size):
        colour = colour.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(colour).transpose(2, 0, 1).copy()
