"""Pooling for which torch has no module."""

from torch import Tensor, nn


class GlobalSumPool(nn.Module):
    """[…,C,S] or […,C,H,W] → […,C]: the sum over the last ``dims`` axes, in either step mode."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Sum […,C,S] or […,C,H,W] over positions → […,C]."""
        return x.flatten(-self.dims).sum(-1)

    def extra_repr(self) -> str:
        """Return the text between the parentheses in a printed model."""
        return f"dims={self.dims}"
