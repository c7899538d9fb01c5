"""Pictures in files to arrays of pixels."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from membrane.data.store.conversion import Columns
from membrane.data.store.originals import OriginalFile, ZippedFile
from membrane.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm")
DEEP = ("I", "F", "I;16", "I;16B", "I;16L")
"""Modes of pictures of more than 8 bits a pixel, which would be cut off."""
LARGEST_SIDE = 4096
"""Pixels; a picture that declares more is refused before it is unpacked."""


class PictureFiles:
    """The base of data sets of pictures: a file of a picture is a sample."""

    suffixes: ClassVar[tuple[str, ...]] = PICTURES

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return x float32 [1,*shape] from 0, black, to 1, white. Raises DataError as `read_picture`."""
        return {"x": read_picture(path, grey=shape[0] == 1)[None].astype(np.float32) / 255}


def read_picture(file: OriginalFile, size: int | None = None, grey: bool = False) -> NDArray[np.uint8]:
    """Return the picture of a file as red, green and blue [3,H,W], scaled to ``size`` pixels a side if there is one.

    ``grey`` gives its luminance [1,H,W]. Scaling is bilinear, over all pixels that a new one covers. Raises DataError
    if the file is no picture, has more than 8 bits a pixel, or is larger than LARGEST_SIDE.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        content = file.read() if isinstance(file, ZippedFile) else Path(file).read_bytes()
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "PPM", "BMP")) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise DataError(f"{file}: declares {picture.width}×{picture.height} pixels, too many")
            if picture.mode in DEEP:
                raise DataError(f"{file}: has more than 8 bits a pixel, which would be cut off: save it with 8")
            colour = picture.convert("L" if grey else "RGB")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: no picture that can be read: {error}") from error
    if size is not None and colour.size != (size, size):
        colour = colour.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(colour)
    return pixels[None].copy() if grey else pixels.transpose(2, 0, 1).copy()
