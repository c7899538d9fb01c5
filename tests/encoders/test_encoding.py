"""Draws of an encoder: of the step in training, of the sample alone in evaluation."""

from collections.abc import Sequence

import pytest
import torch
from torch import Generator, Tensor

from membrane.encoders.encoder import Encoder
from membrane.encoders.encoding import Encoding
from membrane.encoders.latency import Latency
from membrane.encoders.rate import Rate
from membrane.errors import ConfigError

X = torch.full((6, 1, 20), 0.5)
INDEX = torch.tensor([3, 0, 12, 7, 1, 40])


def rate(seed: int = 0) -> Encoding:
    return Encoding(Rate(timesteps=5), seed)


def test_in_training_draws_are_a_function_of_seed_epoch_and_step() -> None:
    def trained(seed: int = 0, epoch: int = 1, step: int = 2) -> Tensor:
        torch.rand(seed + epoch)  # what was drawn before does not matter
        return rate(seed).run(X, INDEX, True, epoch, step)

    first = trained()
    assert torch.equal(first, trained())
    others = [trained(seed=1), trained(epoch=2), trained(step=3), rate().run(X, INDEX, False, 1, 2)]
    assert [torch.equal(first, other) for other in others] == [False] * 4


def test_in_evaluation_a_sample_is_encoded_the_same_in_every_batch_and_epoch() -> None:
    whole = rate().run(X, INDEX, False, -1, 0)
    assert not torch.equal(whole[0], whole[1])
    for size in (1, 4):
        parts = [
            rate().run(x, index, False, epoch, step)
            for step, (x, index) in enumerate(zip(X.split(size), INDEX.split(size), strict=True))
            for epoch in [step - 1]
        ]
        assert torch.equal(torch.cat(parts), whole)
    order = torch.tensor([5, 3, 0, 1, 4, 2])
    assert torch.equal(rate().run(X[order], INDEX[order], False, -1, 0), whole[order])
    assert not torch.equal(rate(seed=1).run(X, INDEX, False, -1, 0), whole)


def test_the_global_generators_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    rate().run(X, INDEX, True, 0, 0)
    rate().run(X, INDEX, False, 0, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


class Wrong(Encoder):
    """Returns what it is told to, whatever x."""

    def __init__(self, result: Tensor) -> None:
        super().__init__(timesteps=2)
        self.result = result

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return self.result


@pytest.mark.parametrize(
    ("result", "got"),
    [
        (torch.zeros(2, 6, 1, 20), r"torch.float32 \[2, 6, 1, 20\]"),
        (torch.zeros(6, 3, 1, 20), r"torch.float32 \[6, 3, 1, 20\]"),
        (torch.zeros(6, 2, 2, 20), r"torch.float32 \[6, 2, 2, 20\]"),
        (torch.zeros(6, 2, 1, 20, dtype=torch.bool), r"torch.bool \[6, 2, 1, 20\]"),
    ],
)
def test_another_form_is_refused(result: Tensor, got: str) -> None:
    with pytest.raises(ValueError, match=rf"^encoder Wrong: expected floating point \[6, 2, 1, 20\], got {got}$"):
        Encoding(Wrong(result), 0).run(X, INDEX, True, 0, 0)


class Marks(Encoder):
    """x + the sample's draw, at each timestep."""

    def draw(self, n: int, shape: Sequence[int], generator: Generator) -> dict[str, Tensor]:
        self.shape = list(shape)
        return {"mark": torch.rand(n, generator=generator)}

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return (x + parameters["mark"][:, None, None]).unsqueeze(1).expand(-1, self.timesteps, -1, -1)


def test_without_bounds_x_is_encoded_as_it_is() -> None:
    encoder = Marks(timesteps=2)
    encoded = Encoding(encoder, 0).run(X - 7, INDEX, False, 0, 0)
    assert encoder.shape == [1, 20]
    marks = encoded[:, 0, 0, 0] + 6.5
    assert ((marks >= 0) & (marks < 1)).all()
    assert len(marks.unique()) == len(X)


def test_bounds_are_mapped_to_0_and_1_and_what_lies_outside_is_clipped() -> None:
    encoder = Marks(timesteps=2, bounds=[-2, 6])
    assert encoder.scaled(torch.tensor([-9.0, -2.0, 0.0, 4.0, 6.0, 7.0])).tolist() == [0, 0, 0.25, 0.75, 1, 1]
    for bounds in ([1.0, 1.0], [1.0, 0.0], [0.0], [0.0, float("nan")]):
        with pytest.raises(ConfigError, match=r"^encoder Marks: bounds must be \[low, high\]"):
            Marks(timesteps=2, bounds=bounds)


def test_an_encoder_that_draws_nothing_takes_no_sample_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoding, "draw", None)
    x = torch.rand(3, 1, 2, 2)
    for training in (True, False):
        encoded = Encoding(Latency(timesteps=4), seed=0).run(x, torch.arange(3), training, 0, 0)
        assert torch.equal(encoded, Latency(timesteps=4).encode(x, {}))


def test_the_log_says_what_is_drawn() -> None:
    assert rate().describe() == "Rate(bounds=[0.0, 1.0]), drawn anew at each step of training, fixed in evaluation"
    described = Encoding(Latency(timesteps=2, function="log"), 0).describe()
    assert described == "Latency(bounds=[0.0, 1.0], function=log), nothing drawn"
