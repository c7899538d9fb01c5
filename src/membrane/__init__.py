"""membrane: spiking neural networks, trained four ways."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from membrane.training.loading import load

__all__ = ["load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch is imported only when a model is asked for: --help and a refused configuration answer without it
    if name == "load":
        from membrane.training.loading import load

        return load
    raise AttributeError(f"module 'membrane' has no attribute {name!r}")
