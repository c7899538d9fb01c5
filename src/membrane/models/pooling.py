"""Pooling that torch has no module for."""

from torch import Tensor, nn


class GlobalSumPool(nn.Module):
    """[…,C,S] or […,C,H,W] → […,C]: the sum over the last ``dims`` axes, in either step mode."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """[…,C,S] or […,C,H,W] → […,C]."""
        return x.flatten(-self.dims).sum(-1)

    def extra_repr(self) -> str:
        """What a printed model says of it."""
        return f"dims={self.dims}"
