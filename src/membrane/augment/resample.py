"""Values of images and signals at positions between their pixels."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["bilinear", "nearest"]


def resampled(x: Tensor, rows: Tensor, columns: Tensor, interpolation: Interpolation) -> Tensor:
    """Return x [M,C,S] or [M,C,H,W] at the position of each new pixel → [M,C,S] or [M,C,H,W].

    Rows and columns broadcast to [M,H,W], in pixels, whole numbers at the centres of pixels; x is 0 beyond its border.
    A signal has H = 1. Half way between two pixels ``nearest`` takes the latter.
    """
    image = x.unsqueeze(2) if x.dim() == 3 else x
    if interpolation == "nearest":
        rows, columns = (rows + 0.5).floor(), (columns + 0.5).floor()
    height, width = image.shape[2:]
    axes = (2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1
    grid = torch.stack([each.expand(len(x), height, width) for each in axes], -1)
    # half precision has too few digits for positions, and no kernel on the CPU
    values = image.float() if image.dtype in (torch.float16, torch.bfloat16) else image
    new = functional.grid_sample(values, grid.to(values.dtype), mode=interpolation, align_corners=False)
    return new.to(x.dtype).reshape(x.shape)


def image_size(x: Tensor) -> tuple[int, int]:
    """Return (H, W) of images [M,C,H,W], (1, S) of signals [M,C,S]."""
    return (x.shape[-2] if x.dim() == 4 else 1), x.shape[-1]


def pixel_rows_and_columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows [H,1] and columns [W] of x [M,C,S] or [M,C,H,W] as floats."""
    rows, columns = (torch.arange(size, dtype=torch.float32, device=x.device) for size in image_size(x))
    return rows[:, None], columns
