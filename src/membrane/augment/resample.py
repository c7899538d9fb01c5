"""Values of images and signals at positions between their pixels."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["bilinear", "nearest"]


def resampled(x: Tensor, positions: Tensor, interpolation: Interpolation) -> Tensor:
    """Return x [M,C,S] or [M,C,H,W] at positions [M,H,W,2], (row, column) of each new pixel → [M,C,H,W].

    Positions are in pixels, whole numbers at the centres of pixels; x is 0 beyond its border. A signal has H = 1. Half
    way between two pixels ``nearest`` takes the latter.
    """
    positions = (positions + 0.5).floor() if interpolation == "nearest" else positions
    image = x.unsqueeze(2) if x.dim() == 3 else x
    size = positions.new_tensor(image.shape[2:])
    grid = ((2 * positions + 1) / size - 1).flip(-1)
    # half precision has too few digits for positions, and no kernel on the CPU
    values = image.float() if image.dtype in (torch.float16, torch.bfloat16) else image
    new = functional.grid_sample(values, grid.to(values.dtype), mode=interpolation, align_corners=False)
    return new.to(x.dtype).reshape(*x.shape[:2], *new.shape[2 + image.dim() - x.dim() :])


def image_size(x: Tensor) -> tuple[int, int]:
    """Return (H, W) of images [M,C,H,W], (1, S) of signals [M,C,S]."""
    return (x.shape[-2] if x.dim() == 4 else 1), x.shape[-1]


def pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    """Return the positions (row, column) of all pixels → [H,W,2]."""
    rows, columns = (torch.arange(size, dtype=torch.float32, device=device) for size in (height, width))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
