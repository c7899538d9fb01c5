"""What an augmentation is: ``draw`` says what happens to each sample, ``apply`` does it.

Apart, because a recording is one thing: its T frames share one draw. `Pipeline` draws for N samples and, for an
augmentation that knows nothing of time, repeats each parameter T times over the merged view [N·T,…].
"""

from torch import Generator, Tensor, nn

from membrane.errors import ConfigError


class Augmentation(nn.Module):
    """x [M,C,S] or [M,C,H,W], M = N or N·T → the same shape; x is floating point and never changed in place.

    ``evaluate``: also in validation and test. ``before`` and ``after``: where, seen from the batch's way to the device;
    with both it runs twice, with separate draws. ConfigError for an augmentation that would never run.
    """

    collapse_timesteps: bool = True
    """False: it knows time, or mixes samples by their index, and receives timesteps in the data as [N,T,…]."""

    def __init__(self, *, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__()
        self.evaluate, self.before, self.after = evaluate, before, after
        if not (before or after):
            raise self.refusal("would never run, set before=true or after=true")

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Parameters [n,…], one row a sample, on the generator's device; all randomness comes from the generator."""
        raise NotImplementedError

    # nn.Module.apply(fn) is another function of that name; Pipeline keeps it from reaching this one.
    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """x [M,C,…] with parameters [M,…] → [M,C,…]; without ``collapse_timesteps`` x [N,T,C,…] with [N,…]."""
        raise NotImplementedError

    def labels(self, y: Tensor, parameters: dict[str, Tensor], classes: int) -> Tensor:
        """y [N] or soft [N,K], parameters [N,…] → the labels of the augmented samples; mixing gives soft ones."""
        return y

    def lengths(self, lengths: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Valid timesteps [N], parameters [N,…] → those of the augmented samples."""
        return lengths

    def fit(self, x: Tensor, scale: float, timesteps: bool = False) -> None:
        """Learn from the training part, x [n,C,…] or with ``timesteps`` [n,T,C,…] in units of ``scale``."""

    def drawn(self, timesteps: bool) -> str:
        """What is drawn for whom, in the words of the log."""
        return "one draw a sample shared over T" if timesteps else "one draw a sample"

    def refusal(self, reason: str) -> ConfigError:
        """A ConfigError that names the augmentation."""
        return ConfigError(f"augmentation {type(self).__name__}: {reason}")


def broadcast(parameter: Tensor, x: Tensor) -> Tensor:
    """parameter [M], x [M,…] → [M,1,…] with the axes of x."""
    return parameter.reshape(-1, *[1] * (x.dim() - 1))
