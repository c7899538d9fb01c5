"""Chunks of a signal as timesteps, with its values as they are."""

from collections.abc import Sequence

from torch import Tensor

from membrane.encoders.encoder import Encoder


class Chunks(Encoder):
    """x [N,C,S] → [N,T,C,W]: T stretches of the signal, in order; by default S/T samples each, one behind the other.

    Arguments:
        timesteps: T, which divides S unless there is a window.
        window: W, samples of a stretch. They begin ⌊(S−W)/(T−1)⌋ samples apart and may overlap; a rest of fewer than
            T − 1 samples at the end is left out. None: S/T.
    """

    def __init__(self, *, timesteps: int, window: int | None = None) -> None:
        super().__init__(timesteps=timesteps)
        if window is not None and window < 1:
            raise self.refusal(f"window must be at least 1 sample, got {window}")
        self.window = window

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Cut x [N,C,S] → [N,T,C,W]."""
        width = self.frame_shape(x.shape[1:])[1]
        stride = width if self.window is None else self.stride(x.shape[2], width)
        return x.unfold(2, width, stride)[:, :, : self.timesteps].movedim(2, 1)

    def stride(self, samples: int, window: int) -> int:
        """Return the samples from the start of a window to that of the next; 1 if there is no next one."""
        return (samples - window) // (self.timesteps - 1) if self.timesteps > 1 else 1

    def frame_shape(self, shape: Sequence[int]) -> list[int]:
        """Return [C,W] of a signal [C,S]. Raises ConfigError for an image, and if it cannot be cut."""
        if len(shape) != 2:
            raise self.refusal(f"needs signals [C,S], got samples {list(shape)}")
        channels, samples = shape
        if self.window is None and samples % self.timesteps:
            raise self.refusal(f"{samples} samples cannot be cut into T={self.timesteps} chunks of equal length")
        if self.window is not None and samples < self.window + self.timesteps - 1:
            raise self.refusal(f"{samples} samples have no T={self.timesteps} different windows of {self.window}")
        return [channels, samples // self.timesteps if self.window is None else self.window]

    def extra_repr(self) -> str:
        return "" if self.window is None else f"window={self.window}"
