"""Training on batches that are cut to their longest sample: the same network, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from configurations import configured
from fits import fit
from small_data import module, part

from membrane.data.feed.loader import Batches
from membrane.errors import ConfigError
from membrane.schema import Config
from membrane.training.assembly import build_learner, example_input, rehearse
from membrane.training.buckets import refuse_buckets_without_lengths, refuse_fixed_timesteps

TID = ("framework=multistep_tid", "trainer.buckets=4")


def sequences(path: Path) -> str:
    """Write 60 sequences [10,3,2] of 1 to 10 valid timesteps, and return the setting that names them."""
    draw = np.random.default_rng(0)
    x, lengths = draw.normal(size=(60, 10, 3, 2)).astype(np.float32), draw.integers(1, 11, 60)
    np.savez(path, x_train=x, y_train=np.arange(60) % 3, length_train=lengths)
    return f"dataset.path={path}"


@pytest.mark.parametrize("framework", ["singlestep_tid", "multistep_tid"])
@pytest.mark.parametrize(
    "changes",
    [
        ("model.norm=batch", "loss=tet"),
        ("model.norm=tebn", "readout=last", "loss=mse", "model.recurrent=elementwise"),
        ("model.norm=tdbn", "regularizer=firing_rate", "augmentation=[time_shift,mixup]", "neuron=mpbn_lif"),
    ],
)
def test_cutting_changes_no_weight(
    tmp_path: Path, framework: str, changes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ("dataset=arrays", sequences(tmp_path / "my.npz"), "dataset.timesteps_in_data=true", "timesteps=10")
    settings = (
        *own,
        f"framework={framework}",
        "trainer.buckets=2",
        "batch_size=8",
        "epochs=2",
        "optimizer=sgd",
        "protocol=last",
        *changes,
    )
    steps: list[int] = []
    in_order = Batches.in_order
    fitted = []
    for trim in (True, False):

        def ordered(self: Batches, order: torch.Tensor, trim: bool = trim) -> object:
            self.trim = self.trim and trim
            batches = in_order(self, order)
            steps.extend(batch.x.shape[1] for batch in batches if self.trim)
            return batches

        monkeypatch.setattr(Batches, "in_order", ordered)
        folder = tmp_path / str(trim)
        folder.mkdir()
        fitted.append(fit(folder, *settings).state_dict())
    assert min(steps) < 10
    for name, values in fitted[0].items():
        torch.testing.assert_close(fitted[1][name], values, rtol=1e-5, atol=1e-6, msg=name)


def refuse(config: Config) -> None:
    refuse_fixed_timesteps(config, build_learner(config), example_input(config))


@pytest.mark.parametrize(
    "neuron",
    [
        ["neuron=psn"],
        ["neuron=masked_psn", "neuron.lambda_init=1"],
        ["neuron=glif"],
        ["neuron._target_=spikingjelly.activation_based.neuron.DSRIFNode"],
    ],
)
def test_a_neuron_for_one_number_of_timesteps_is_refused(neuron: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"makes batches of fewer timesteps than 4, neuron=\w+ is built for just as"):
        refuse(configured(*TID, *neuron, "model=smlp"))


def test_a_subset_of_timesteps_needs_such_a_neuron_too() -> None:
    subset = ("framework=multistep_tid", "augmentation=time_subset", "model=smlp")
    refuse(configured(*subset))
    with pytest.raises(ConfigError, match=r"augmentation.time_subset makes .* than 4, neuron=psn is built for just as"):
        refuse(configured(*subset, "neuron=psn"))


@pytest.mark.parametrize(
    "changes",
    [["neuron=sliding_psn"], ["model=smlp", "model.norm=tebn"], ["model=spikformer"], ["timesteps=1"], ["neuron=relu"]],
)
def test_what_takes_any_number_is_not(changes: list[str]) -> None:
    refuse(configured(*TID, *changes))


class OfFour(torch.nn.Module):
    """A model of one's own that wants four timesteps."""

    def __init__(self, input_shape: list[int], classes: int, timesteps: int, neuron: object) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(4, 1, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weigh the sums of [T,N,…] → [T,N,K]."""
        return x.flatten(2).sum(2, keepdim=True) * self.weight


def test_a_model_for_one_number_of_timesteps_is_refused() -> None:
    own = f"{__name__}.OfFour"
    with pytest.raises(ConfigError, match=r"trainer.buckets=4 makes .* which the model does not take \(The size of"):
        rehearse(configured(*TID, "model=smlp", f"model={{_target_: {own}}}", f"trust=[{own}]"))


def test_without_lengths_there_is_nothing_to_sort_by() -> None:
    config = configured(*TID)
    x = torch.rand(6, 4, 1, 3)
    for lengths, refused in ((torch.full((6,), 4), False), (None, True)):
        train = part(6, x=x, lengths=lengths)
        data = module((train, part(6, x=x)), [1, 3], 2, timed=True)
        data.setup()
        if refused:
            with pytest.raises(
                ConfigError, match=r"=4 sorts samples by length, dataset digits_events gives no lengths"
            ):
                refuse_buckets_without_lengths(config, data)
        else:
            refuse_buckets_without_lengths(config, data)
