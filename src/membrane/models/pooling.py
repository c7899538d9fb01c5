"""Pooling over all positions."""

from torch import Tensor, nn


class GlobalSumPool(nn.Module):
    """[N,C,…] → [N,C] or [T,N,C,…] → [T,N,C]: the sum over all ``dims`` positions, which counts spikes."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.axes = tuple(range(-dims, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Sum over the last axes."""
        return x.sum(self.axes)
