"""conf/augmentation: each file builds its entries and states no default; what holds for every augmentation alike."""

import inspect
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor

from membrane.augment.augmentation import Augmentation
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch

FOLDER = Path(__file__).parents[2] / "conf" / "augmentation"
CHOICES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "none")
PRESETS = ("cifar_autoaugment", "cifar_standard", "specaugment")
EVENTS = ("drop_area", "drop_events", "drop_time", "event_drop", "eventmix", "polarity_flip")
SIGNALS = ("sensor_rotation", "specaugment", "time_warp")
OF_TIME = ("drop_time", "event_drop", "eventmix", "time_mask", "time_shift", "time_warp")
OF_VALUES = ("drop_events", "exponential_noise", "noise")
OTHER_VALUES_IN_EACH_DTYPE = ("autoaugment", "cifar_autoaugment", "exponential_noise", "noise")
"""Noise draws other numbers; AutoAugment has operations with steps."""


def entries(choice: str) -> dict[str, dict[str, Any]]:
    content = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{choice}.yaml"))
    assert isinstance(content, dict)
    return content


def built(choice: str) -> dict[str, Augmentation]:
    return {name: get_class(node.pop("_target_"))(**node) for name, node in entries(choice).items()}


def augmented(choice: str, x: Tensor, timesteps: bool = False, training: bool = True) -> Batch:
    pipeline = Pipeline(built(choice), 3, timesteps or x.dim() == 5, seed=0)
    pipeline.fit([x.float()], 1.0)
    return pipeline.run(batch_of(x), "after", training, 0, 0)


def batch_of(x: Tensor) -> Batch:
    index = torch.arange(len(x))
    return Batch(x, index % 3, None, index, index)


def fitting_x(choice: str) -> Tensor:
    """Values from 0 to 1 of a shape that the choice is for: event frames, signals, or images of three channels."""
    shape = (6, 4, 2, 8, 8) if choice in EVENTS else (6, 9, 40) if choice in SIGNALS else (6, 3, 16, 16)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("choice", CHOICES)
def test_choice_builds_and_states_only_what_differs_from_the_default(choice: str) -> None:
    nodes = entries(choice)
    assert (len(nodes) > 1) == (choice in PRESETS)
    assert choice in PRESETS or [*nodes] == [choice]
    for node in nodes.values():
        target = node.pop("_target_")
        kind = get_class(target)
        assert f"{kind.__module__}.{kind.__qualname__}" == target
        assert isinstance(kind(**node), Augmentation)
        defaults = {key: value.default for key, value in inspect.signature(kind).parameters.items()}
        assert [key for key in node if defaults[key] == node[key]] == []


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "time_subset"])  # it leaves timesteps out
def test_x_keeps_its_shape_and_dtype_and_is_not_changed(choice: str) -> None:
    exact = augmented(choice, fitting_x(choice)).x
    assert exact.shape == fitting_x(choice).shape
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x = fitting_x(choice).to(dtype)
        before = x.clone()
        out = augmented(choice, x)
        assert (out.x.dtype, out.x.shape) == (dtype, x.shape)
        assert torch.equal(x, before)
        if choice not in OTHER_VALUES_IN_EACH_DTYPE:
            rounding = 8 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
            torch.testing.assert_close(out.x.float(), exact, rtol=rounding, atol=rounding)


@pytest.mark.parametrize(
    "choice", [choice for choice in CHOICES if choice not in (*OF_TIME, *OF_VALUES, "specaugment")]
)
def test_all_frames_of_a_sample_share_one_draw(choice: str) -> None:
    x = fitting_x(choice)[:, None] if choice not in EVENTS else fitting_x(choice)[:, :1]
    frames = x.repeat_interleave(4, 1)
    if choice == "frequency_mask":
        frames = frames.flatten(3)
    out = augmented(choice, frames, timesteps=True).x
    assert torch.equal(out, out[:, :1].expand_as(out))
    if choice != "normalise":
        assert not torch.equal(out, frames)


@pytest.mark.parametrize("choice", CHOICES)
def test_draws_repeat_themselves_and_leave_the_global_generators_alone(choice: str) -> None:
    x = fitting_x(choice)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = augmented(choice, x)
    torch.rand(3)
    second = augmented(choice, x)
    torch.set_rng_state(before[0])
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.y, second.y)
    third = augmented(choice, x)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(first.x, third.x)
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "normalise"])
def test_evaluation_is_untouched(choice: str) -> None:
    x = fitting_x(choice)
    out = augmented(choice, x, training=False)
    assert out.x is x
    assert torch.equal(out.y, batch_of(x).y)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_batch_of_one_sample(choice: str) -> None:
    for seed in range(5):
        pipeline = Pipeline(built(choice), 3, choice in EVENTS, seed)
        pipeline.fit([fitting_x(choice)], 1.0)
        assert pipeline.run(batch_of(fitting_x(choice)[:1]), "after", True, 0, 0).x.isfinite().all()


@pytest.mark.parametrize("choice", OF_VALUES)
def test_values_are_drawn_anew_in_each_frame(choice: str) -> None:
    out = augmented(choice, torch.ones(6, 4, 2, 8, 8)).x.flatten(2)
    assert all(len(sample.unique(dim=0)) == 4 for sample in out)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("choice", CHOICES)
def test_a_batch_on_a_gpu_stays_there(choice: str) -> None:
    x = fitting_x(choice).cuda()
    pipeline = Pipeline(built(choice), 3, choice in EVENTS, seed=0).cuda()
    pipeline.fit([x.cpu()], 1.0)
    batch = batch_of(x)
    out = pipeline.run(batch._replace(y=batch.y.cuda()), "after", True, 0, 0).x
    assert (out.device, out.shape) == (x.device, x.shape)
    assert out.isfinite().all()


def test_the_page_on_augmentations_names_every_choice() -> None:
    page = (FOLDER.parents[1] / "docs" / "augmentations.md").read_text()
    assert [choice for choice in CHOICES if f"`{choice}`" not in page] == []


def test_none_is_an_empty_mapping() -> None:
    assert OmegaConf.load(FOLDER / "none.yaml") == {}


def test_a_list_of_choices_composes_in_order(tmp_path: Path) -> None:
    (tmp_path / "top.yaml").write_text(
        f"defaults: [_self_, {{augmentation: [none]}}]\nhydra: {{searchpath: ['file://{FOLDER.parent}']}}\n"
    )
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose("top").augmentation == {}
        assert list(compose("top", ["augmentation=[shift,cutout]"]).augmentation) == ["shift", "cutout"]
        assert list(compose("top", ["augmentation=[cutout,shift]"]).augmentation) == ["cutout", "shift"]
        assert compose("top", ["augmentation=[shift]", "augmentation.shift.pixels=2"]).augmentation.shift.pixels == 2
