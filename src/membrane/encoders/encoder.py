"""The interface of an encoder: ``draw`` draws parameters for each sample, ``encode`` encodes with them.

They are separate so that the draws of a sample can be those of its batch's step in training, and its own in evaluation.
"""

import math
from collections.abc import Sequence

from torch import Generator, Tensor, nn

from membrane.errors import ConfigError


class Encoder(nn.Module):
    """x [N,C,S] or [N,C,H,W] → [N,T,…], as the frameworks take it that have timesteps in the data.

    Arguments:
        timesteps: T.
        bounds: [low, high], which `scaled` maps to [0, 1]; x outside is clipped. None: x is encoded as it is.
    """

    def __init__(self, *, timesteps: int, bounds: Sequence[float] | None = None) -> None:
        super().__init__()
        if bounds is not None and not (len(bounds) == 2 and -math.inf < bounds[0] < bounds[1] < math.inf):
            raise self.refusal(f"bounds must be [low, high], finite, the lower one first, got {list(bounds)}")
        self.timesteps = timesteps
        self.bounds = None if bounds is None else (float(bounds[0]), float(bounds[1]))

    def scaled(self, x: Tensor) -> Tensor:
        """Map x [N,…] from the bounds to [0, 1] and clip it there; without bounds return it unchanged."""
        if self.bounds is None:
            return x
        low, high = self.bounds
        return ((x - low) / (high - low)).clamp(0, 1)

    def draw(self, n: int, shape: Sequence[int], generator: Generator) -> dict[str, Tensor]:
        """Draw parameters [n,…] for samples of ``shape`` [C,…], on the generator's device and from it alone."""
        return {}

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Encode scaled x [N,C,…] with parameters [N,…] → [N,T,…], frames of `frame_shape`, floating point."""
        raise NotImplementedError

    def frame_shape(self, shape: Sequence[int]) -> list[int]:
        """Return the shape of a frame, which the model sees, from that of a sample [C,…]: the same."""
        return list(shape)

    def refusal(self, reason: str) -> ConfigError:
        """Build a ConfigError that names the encoder."""
        return ConfigError(f"encoder {type(self).__name__}: {reason}")

    def extra_repr(self) -> str:
        return "" if self.bounds is None else f"bounds={list(self.bounds)}"


def over_time(values: Tensor, x: Tensor) -> Tensor:
    """Reshape values [T], one for each timestep, to broadcast over x [N,T,…] → [T,1,…]."""
    return values.reshape(-1, *[1] * (x.dim() - 2))
