"""Delta modulation: a signal's changes along S, its samples in time, as spikes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from membrane.encoders.encoder import Encoder

POLARITIES = ("channels", "signed", "on")


class Delta(Encoder):
    """x [N,C,S] → spikes [N,T,C′,S/T]: S is cut into T chunks, and a spike says that the signal moved by ``threshold``.

    Each channel follows its signal from its first sample on. Where a sample is at least the threshold above what has
    been followed so far there is an on spike, where as much below an off spike, and what is followed moves by the
    threshold: first sample + threshold · Σ(on − off) tracks a signal that changes by no more than it from one sample to
    the next to less than the threshold. Petro, Kasabov & Kiss 2020, "Selection and optimization of temporal spike
    encoding methods for spiking neural networks", IEEE TNNLS 31(2), 358–370 (step-forward).

    Arguments:
        timesteps: T, which divides S. With T = S each sample is a timestep.
        threshold: in units of x as the model would see it.
        polarity: ``channels``: C channels of on spikes and behind them C of off spikes; ``signed``: C channels, off
            spikes are −1; ``on``: C channels of on spikes alone.
    """

    def __init__(self, *, timesteps: int, threshold: float = 0.1, polarity: str = "channels") -> None:
        super().__init__(timesteps=timesteps)
        if not threshold > 0:
            raise self.refusal(f"threshold must be above 0, got {threshold}")
        if polarity not in POLARITIES:
            raise self.refusal(f"polarity must be one of {', '.join(POLARITIES)}, got {polarity}")
        self.threshold, self.polarity = threshold, polarity

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Encode x [N,C,S] → spikes [N,T,C′,S/T]."""
        changes = signed_changes(x / self.threshold)
        if self.polarity == "channels":
            changes = torch.cat([changes, -changes], dim=1)
        spikes = changes if self.polarity == "signed" else changes.clamp(min=0)
        return spikes.reshape(*spikes.shape[:2], self.timesteps, -1).movedim(2, 1)

    def frame_shape(self, shape: Sequence[int]) -> list[int]:
        """Return [C′,S/T] of a signal [C,S]. Raises ConfigError for an image, and if T does not divide S."""
        if len(shape) != 2:
            raise self.refusal(f"needs signals [C,S], got samples {list(shape)}")
        channels, samples = shape
        if samples % self.timesteps:
            raise self.refusal(f"{samples} samples cannot be cut into T={self.timesteps} chunks of equal length")
        return [2 * channels if self.polarity == "channels" else channels, samples // self.timesteps]

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, polarity={self.polarity}"


def signed_changes(x: Tensor) -> Tensor:
    """Follow x [N,C,S], in units of the threshold, by one at most a sample → 1 up, −1 down, 0 none, [N,C,S]."""
    followed, *samples = x.movedim(-1, 0).contiguous().unbind()
    steps = [torch.zeros_like(followed)]
    for sample in samples:
        step = (sample - followed).trunc().clamp(-1, 1)
        followed = followed + step
        steps.append(step)
    return torch.stack(steps, dim=-1)
