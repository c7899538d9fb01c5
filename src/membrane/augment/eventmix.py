"""EventMix (Shen et al. 2022, arXiv:2205.12054): regions of space and time of two recordings put together."""

from typing import Literal, Unpack

import torch
from torch import Generator, Tensor
from torch.nn import functional

from membrane.augment.augmentation import When, broadcast
from membrane.augment.mixing import Mixing

COMPONENTS = (2, 3, 4)
"""How many Gaussians a mixture has, each as likely."""
NARROWEST = 0.1
"""The smallest standard deviation of a Gaussian, as a share of half an axis."""
LOOKED_AT = 4096
"""Voxels of a sample from which the threshold of its mixture is taken."""
GOLDEN = 0.6180339887498949


class EventMix(Mixing):
    """x [N,T,C,S] or [N,T,C,H,W] → the voxels where a mixture of Gaussians is highest taken from the partner's.

    They are a share 1−λ of all voxels (t, pixel), λ ~ Beta(``alpha``, ``alpha``) a sample, of all channels alike. A
    mixture has 2 to 4 Gaussians along T, H and W with weights from U(0, 1), means anywhere and standard deviations from
    U(0, 1), at least 0.1, times half the axis, as in the authors' published code. ``weight`` says how labels are mixed

    - ``events``: by the share of each recording's events that is in the result;
    - ``distance``: by the distance of the result from each recording, smoothed over 3 × 3 pixels.
    """

    view = "time"

    def __init__(
        self, *, alpha: float = 1.0, weight: Literal["events", "distance"] = "events", **when: Unpack[When]
    ) -> None:
        super().__init__(alpha=alpha, **when)
        self.weight = weight

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw weight and partner [n], height [n,4], 0 for no Gaussian, mean and std [n,4,3] as shares of the axes."""
        parameters = super().draw(n, generator)
        most = COMPONENTS[-1]
        count = torch.randint(COMPONENTS[0], most + 1, (n, 1), generator=generator, device=generator.device)
        uniform = torch.rand(n, most, 7, generator=generator, device=generator.device)
        height = uniform[..., 0] * (torch.arange(most, device=generator.device) < count)
        std = uniform[..., 4:].clamp(min=NARROWEST) / 2
        return {**parameters, "height": height, "mean": uniform[..., 1:4], "std": std}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the voxels of x [N,T,C,…] to take from the partner → taken [N,T,1,…], and the labels' weight [N]."""
        weight, partner = parameters["weight"], parameters["partner"]
        with torch.autocast(x.device.type, enabled=False):
            taken = highest(mixture(parameters, (x.shape[1], *x.shape[3:])), 1 - weight).unsqueeze(2)
        measure = weight_by_events if self.weight == "events" else weight_by_distance
        return {"taken": taken, "weight": measure(x, partner, taken, weight), "partner": partner}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Take the voxels taken [N,T,1,…] of x [N,T,C,…] from the partners [N] → [N,T,C,…]."""
        return torch.where(parameters["taken"], x[parameters["partner"]], x)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, weight={self.weight}"


def mixture(parameters: dict[str, Tensor], size: tuple[int, ...]) -> Tensor:
    """Return Σ height · exp(−½ ((position − mean) / std)²) at T × H × W or T × S voxels → [N,T,…]."""
    factors = []
    for axis, length in zip((0, 1, 2) if len(size) == 3 else (0, 2), size, strict=True):
        mean = (parameters["mean"][..., axis, None] * length).floor()
        position = torch.arange(length, device=mean.device)
        factors.append((-0.5 * ((position - mean) / (length * parameters["std"][..., axis, None])).square()).exp())
    *others, last = factors
    density = parameters["height"][..., None] * others[0]
    for factor in others[1:]:
        density = (density[..., None] * factor[:, :, None]).flatten(2)
    return (density.transpose(1, 2) @ last).reshape(-1, *size)


def highest(density: Tensor, share: Tensor) -> Tensor:
    """Return where density [N,…] is among the ``share`` [N] of highest values of its sample → bool [N,…].

    The threshold is that of at most `LOOKED_AT` values spread over the sample: to sort all takes longer than a step.
    """
    values = density.flatten(1)
    if values.shape[1] > LOOKED_AT:
        spread = torch.arange(LOOKED_AT, dtype=torch.double, device=density.device) * GOLDEN % 1
        values = values[:, (spread * values.shape[1]).long()]
    ordered = functional.pad(values.sort(1, descending=True).values, (0, 1), value=-1)
    count = (share * values.shape[1]).round().long()
    return density > broadcast(ordered.gather(1, count[:, None]), density)


def weight_by_events(x: Tensor, partner: Tensor, taken: Tensor, otherwise: Tensor) -> Tensor:
    """Return kept / (kept + gained) [N], the shares of the events of x [N,T,C,…] and of its partner in the result.

    ``otherwise`` [N] stands in where one of both has no events, or none in the result.
    """
    events = x.abs().sum(2, keepdim=True, dtype=torch.float32)
    total = events.flatten(1).sum(1)
    there = torch.where(taken, 0, events).flatten(1).sum(1)
    new = torch.where(taken, events[partner], 0).flatten(1).sum(1)
    kept, gained = there / total, new / total[partner]
    weight = kept / (kept + gained)
    return weight.where(weight.isfinite(), otherwise)


def weight_by_distance(x: Tensor, partner: Tensor, taken: Tensor, otherwise: Tensor) -> Tensor:
    """Return d₂² / (d₁² + d₂²) [N], d the mean squared differences of the result from x [N,T,C,…] and its partner.

    Both are averaged over 3 × 3 pixels, or 3 of a signal, before. ``otherwise`` [N] stands in where there is none.
    """
    difference = x[partner] - x
    own = smoothed(torch.where(taken, difference, 0)).square().flatten(1).mean(1)
    other = smoothed(torch.where(taken, 0, difference)).square().flatten(1).mean(1)
    weight = other.square() / (own.square() + other.square())
    return weight.where(weight.isfinite(), otherwise)


def smoothed(x: Tensor) -> Tensor:
    """Average x [N,T,C,…] over 3 × 3 pixels, or 3 of a signal, with 0 beyond the border → float32 [N,T,C,…]."""
    pool = functional.avg_pool2d if x.dim() == 5 else functional.avg_pool1d
    return pool(x.flatten(0, 1).float(), 3, stride=1, padding=1).reshape(x.shape)
