"""The interface of an augmentation: ``draw`` draws parameters for each sample, ``apply`` applies them.

They are separate so that the T frames of a recording share one draw. `Pipeline` draws for N samples; ``view`` says in
which shape an augmentation receives a batch with timesteps in the data.
"""

from collections.abc import Iterable
from typing import Literal, TypedDict

from torch import Generator, Tensor, nn

from membrane.errors import ConfigError


class When(TypedDict, total=False):
    """Where and when an augmentation runs, as every constructor takes it: see `Augmentation`."""

    evaluate: bool
    before: bool
    after: bool


class Augmentation(nn.Module):
    """x [M,C,S] or [M,C,H,W], M = N or N·T → the same shape; x is floating point and never changed in place.

    ``evaluate`` applies it in validation and test too. ``before`` and ``after`` the transfer to the device are the
    places where it runs; with both it runs twice, with separate draws. Raises ConfigError if it would never run.
    """

    shortens: bool = False
    """True for one that leaves fewer valid timesteps: samples without lengths get them, as many as `lengths` says."""
    collapse_timesteps: bool = True
    """False for one that uses time, or mixes samples by their index: it receives timesteps in the data as [N,T,…]."""
    view: Literal["frames", "samples", "channels", "time"] | None = None
    """The shape of x, C channels and T timesteps; None: ``frames`` or ``samples``, as ``collapse_timesteps`` says.

    | view | with timesteps in the data | without | parameters |
    |---|---|---|---|
    | ``frames`` | [N·T,C,…] | [N,C,…] | repeated for each frame |
    | ``samples`` | [N,T,C,…] | [N,C,…] | a row a sample |
    | ``channels`` | [N,T·C,…] | [N,C,…] | a row a sample: for one that treats all channels and frames alike |
    | ``time`` | [N,L,…], L = T | [N,L,…], L the last axis: S, or W of a spectrogram | a row a sample |
    """

    def __init__(self, *, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__()
        self.evaluate, self.before, self.after = evaluate, before, after
        if not (before or after):
            raise self.refusal("would never run, set before=true or after=true")

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw parameters [n,…], a row for each sample, on the generator's device and from it alone."""
        raise NotImplementedError

    # nn.Module.apply(fn) is another function of that name; Pipeline keeps it from reaching this one.
    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Augment x [M,C,…] with parameters [M,…] → [M,C,…]; without ``collapse_timesteps`` [N,T,C,…] with [N,…]."""
        raise NotImplementedError

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn what was drawn into what depends on the batch too, such as positions in x → parameters [N,…].

        x is in this augmentation's ``view``, but [N,T,…] in ``frames``; lengths [N] are the valid steps of time, the
        size of the last axis if there are no timesteps in the data. ``apply``, ``labels`` and ``lengths`` get the
        result.
        """
        return parameters

    def labels(self, y: Tensor, parameters: dict[str, Tensor], classes: int) -> Tensor:
        """Augment the labels y [N] or soft [N,K] with parameters [N,…] → [N] or [N,K]; mixing makes them soft."""
        return y

    def lengths(self, lengths: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Update the numbers of valid timesteps [N] with parameters [N,…] → [N]."""
        return lengths

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Take statistics of the training part in units of ``scale``.

        x comes a few samples at a time, [k,C,…] or with ``timesteps`` [k,T,C,…], and can be read more than once.
        """

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "one draw a sample shared over T" if timesteps else "one draw a sample"

    def refusal(self, reason: str) -> ConfigError:
        """Build a ConfigError that names the augmentation."""
        return ConfigError(f"augmentation {type(self).__name__}: {reason}")


def broadcast(parameter: Tensor, x: Tensor) -> Tensor:
    """Reshape parameter [M] to broadcast over x [M,…] → [M,1,…]."""
    return parameter.reshape(-1, *[1] * (x.dim() - 1))
