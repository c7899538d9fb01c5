"""Lines of an image as timesteps: the sequential form of image data."""

from collections.abc import Sequence

from torch import Tensor

from membrane.encoders.encoder import Encoder
from membrane.errors import ConfigError

AXES = ("rows", "columns")


class Lines(Encoder):
    """x [N,C,H,W] → [N,T,C,W] with T = H, the rows of an image from top to bottom; or [N,T,C,H] with T = W.

    Arguments:
        timesteps: T, which is the number of lines.
        axis: ``rows``, or ``columns`` from left to right, as SpikingJelly's sequential Fashion-MNIST reads them.
    """

    def __init__(self, *, timesteps: int, axis: str = "rows") -> None:
        super().__init__(timesteps=timesteps)
        if axis not in AXES:
            raise ConfigError(f"encoder Lines: axis must be rows or columns, got {axis!r}")
        self.axis = axis

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Move the lines of x [N,C,H,W] to the front → [N,T,C,W] or [N,T,C,H]."""
        self.frame_shape(x.shape[1:])
        return x.movedim(2 if self.axis == "rows" else 3, 1)

    def frame_shape(self, shape: Sequence[int]) -> list[int]:
        """Return [C,W] of an image [C,H,W], or [C,H]. Raises ConfigError for a signal, or if T is another number."""
        if len(shape) != 3:
            raise self.refusal(f"needs images [C,H,W], got samples {list(shape)}")
        channels, height, width = shape
        lines, length = (height, width) if self.axis == "rows" else (width, height)
        if lines != self.timesteps:
            raise self.refusal(f"an image has {lines} {self.axis}, timesteps={self.timesteps}")
        return [channels, length]

    def extra_repr(self) -> str:
        return f"axis={self.axis}"
