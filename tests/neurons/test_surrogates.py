"""Every surrogate's gradient against the formula that its description states, at and away from its corners."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch

from membrane.schema.surrogate import SURROGATES

U = [-2.5, -1.2, -0.6, -0.3, -0.05, 0.05, 0.3, 0.6, 1.2, 2.5]


def sigmoid(u: float) -> float:
    return 1 / (1 + math.exp(-u))


FORMULAS: dict[str, tuple[dict[str, Any], Callable[[float], float]]] = {
    "atan": ({"alpha": 3.0}, lambda u: 1.5 / (1 + (math.pi * 1.5 * u) ** 2)),
    "sigmoid": ({"alpha": 3.0}, lambda u: 3 * sigmoid(3 * u) * (1 - sigmoid(3 * u))),
    "piecewise_quadratic": ({"alpha": 1.5}, lambda u: max(0.0, 1.5 - 1.5**2 * abs(u))),
    "piecewise_exp": ({"alpha": 1.5}, lambda u: 0.75 * math.exp(-1.5 * abs(u))),
    "soft_sign": ({"alpha": 3.0}, lambda u: 1.5 / (1 + 3 * abs(u)) ** 2),
    "super_spike": ({"alpha": 3.0}, lambda u: 3 / (1 + abs(u)) ** 2),
    "nonzero_sign_log_abs": ({"alpha": 3.0}, lambda u: 3 / (1 + 3 * abs(u))),
    "erf": ({"alpha": 1.5}, lambda u: 1.5 / math.sqrt(math.pi) * math.exp(-((1.5 * u) ** 2))),
    "piecewise_leaky_relu": ({"w": 0.5, "c": 0.02}, lambda u: 1.0 if abs(u) <= 0.5 else 0.02),
    "squarewave_fourier_series": (
        {"n": 4, "T_period": 6.0},
        lambda u: 4 / 6 * sum(math.cos(2 * math.pi * i * u / 6) for i in (1, 3, 5)),
    ),
    "s2nn": (
        {"alpha": 3.0, "beta": 0.5},
        lambda u: 3 * sigmoid(3 * u) * (1 - sigmoid(3 * u)) if u < 0 else 0.5 / (1 + u),
    ),
    "q_pseudo_spike": ({"alpha": 3.0}, lambda u: (1 + 2 / 2 * abs(u)) ** -3),
    "leaky_k_relu": ({"leak": 0.1, "k": 2.0}, lambda u: 2.0 if u >= 0 else 0.1),
    "fake_numerical_gradient": ({"alpha": 2.0}, lambda u: min(2.0, 1 / abs(u))),
    "log_tailed_relu": ({"alpha": 0.2}, lambda u: 0.2 if u <= 0 else 1 / max(1.0, u)),
    "fast_sigmoid": ({"alpha": 10.0}, lambda u: 1 / (1 + 10 * abs(u)) ** 2),
    "slayer": ({"alpha": 5.0, "c": 0.4}, lambda u: 0.4 * 2.5 * math.exp(-5 * abs(u))),
    "boxcar": ({"width": 1.0, "height": 0.5}, lambda u: 0.5 if abs(u) <= 0.5 else 0.0),
    "rect": ({"alpha": 0.5}, lambda u: 0.5 if abs(u) < 1 else 0.0),
}


def test_every_choice_is_here() -> None:
    assert set(FORMULAS) == {kind.choice for kind in SURROGATES if kind.choice}


@pytest.mark.parametrize("choice", list(FORMULAS))
def test_the_gradient_is_the_one_that_is_described(choice: str) -> None:
    said, formula = FORMULAS[choice]
    kind = next(kind for kind in SURROGATES if kind.choice == choice)
    home, _, name = kind.public.rpartition(".")
    made = getattr(import_module(home), name)(**said)
    u = torch.tensor(U, dtype=torch.float64, requires_grad=True)
    spikes = made(u)
    spikes.sum().backward()
    assert spikes.tolist() == [float(value >= 0) for value in U]
    assert u.grad is not None
    assert u.grad.tolist() == pytest.approx([formula(value) for value in U])


@pytest.mark.parametrize(
    ("choice", "published"),
    [
        ("fast_sigmoid", lambda u: 1 / (1 + 25 * abs(u)) ** 2),  # snnTorch's slope
        ("slayer", lambda u: 0.4 * 5 / 2 * math.exp(-5 * abs(u))),  # SparCH's α = 5 and c = 0.4
        ("boxcar", lambda u: 0.5 if abs(u) <= 0.5 else 0.0),
    ],
)
def test_the_defaults_of_our_own_are_the_published_ones(choice: str, published: Callable[[float], float]) -> None:
    home, _, name = next(each.public for each in SURROGATES if each.choice == choice).rpartition(".")
    u = torch.tensor([*U, -0.5, 0.5], dtype=torch.float64, requires_grad=True)
    getattr(import_module(home), name)()(u).sum().backward()
    assert u.grad is not None
    assert u.grad.tolist() == pytest.approx([published(value) for value in u.tolist()])
