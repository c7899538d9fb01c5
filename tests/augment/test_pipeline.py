"""The hook: draws once a sample, shared over time, as a function of (seed, name, where, epoch, step)."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from membrane.augment.augmentation import Augmentation
from membrane.augment.image import Cutout, HorizontalFlip, Shift
from membrane.augment.mixing import Mixup
from membrane.augment.noise import GaussianNoise
from membrane.augment.normalise import Normalise
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError

seeds = st.integers(0, 2**31)


class Draws(Augmentation):
    """x + u, u ~ U(0, 1) once a sample: on x = 0 the result shows the draw."""

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        return {"u": torch.rand(n, generator=generator)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        self.seen = x.shape
        return x + parameters["u"].reshape(-1, *[1] * (x.dim() - 1))


class KnowsTime(Draws):
    collapse_timesteps = False


class DrawsOne(Draws):
    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        return {"u": torch.rand(1, generator=generator)}


def batch_of(x: Tensor) -> Batch:
    index = torch.arange(len(x))
    return Batch(x, index, None, index, index)


def pipeline_of(timesteps: bool = True, seed: int = 0, **augmentations: Augmentation) -> Pipeline:
    return Pipeline(augmentations, classes=10, timesteps_in_data=timesteps, seed=seed)


def values(pipeline: Pipeline, epoch: int = 0, step: int = 0, n: int = 8) -> Tensor:
    """What the pipeline makes of x = 0 [N,T,C,S] in training, after."""
    return pipeline.run(batch_of(torch.zeros(n, 3, 1, 4)), "after", True, epoch, step).x


@settings(max_examples=20)
@given(seeds, st.sampled_from([(64, 4, 2, 7), (64, 3, 1, 6, 7)]))
def test_one_draw_a_sample_shared_over_time(seed: int, shape: tuple[int, ...]) -> None:
    # All frames of all samples alike: the results are alike within a sample, and not all alike between samples (so
    # many that no seed flips all or none of them).
    frame = 1 + torch.rand(shape[2:], generator=torch.Generator().manual_seed(seed))
    for augmentation in (HorizontalFlip(), Shift(pixels=3), Cutout(size=3), Draws()):
        out = pipeline_of(seed=seed, one=augmentation).run(batch_of(frame.expand(shape)), "after", True, 0, 0).x
        assert torch.equal(out, out[:, :1].expand(shape))
        assert len(out[:, 0].unique(dim=0)) > 1


@settings(max_examples=20)
@given(seeds)
def test_frames_and_samples_stay_in_order(seed: int) -> None:
    # Frame t of sample n is filled with its own number; what is left of it must be that number.
    number = torch.arange(1.0, 25).reshape(6, 4, 1, 1, 1)
    pipeline = pipeline_of(seed=seed, flip=HorizontalFlip(), shift=Shift(pixels=2), cutout=Cutout(size=2))
    out = pipeline.run(batch_of(number.expand(6, 4, 2, 8, 8)), "after", True, 0, 0)
    assert ((out.x == 0) | (out.x == number)).all()
    assert (out.x.amax((2, 3, 4)) == number.squeeze()).all()
    assert torch.equal(out.y, torch.arange(6))
    assert torch.equal(out.recording, torch.arange(6))
    assert torch.equal(out.index, torch.arange(6))


def test_merged_view_only_where_time_is_in_the_data_and_not_known() -> None:
    for augmentation, timesteps, seen in (
        (Draws(), True, (24, 1, 4)),
        (KnowsTime(), True, (8, 3, 1, 4)),
        (Draws(), False, (8, 3, 1, 4)),
    ):
        out = values(pipeline_of(timesteps, one=augmentation))
        assert augmentation.seen == seen
        assert out.shape == (8, 3, 1, 4)


class SeesView(Draws):
    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view  # type: ignore[assignment]

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        self.resolved, self.steps = x.shape, lengths.tolist()
        return {"u": 10 * parameters["u"]}

    def labels(self, y: Tensor, parameters: dict[str, Tensor], classes: int) -> Tensor:
        return y + parameters["u"]

    def lengths(self, lengths: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return lengths + 1


@pytest.mark.parametrize(
    ("view", "timesteps", "seen", "resolved"),
    [
        ("frames", True, (6, 4, 5), (2, 3, 4, 5)),
        ("samples", True, (2, 3, 4, 5), (2, 3, 4, 5)),
        ("channels", True, (2, 12, 5), (2, 12, 5)),
        ("time", True, (2, 3, 4, 5), (2, 3, 4, 5)),
        ("frames", False, (2, 3, 4, 5), (2, 3, 4, 5)),
        ("channels", False, (2, 3, 4, 5), (2, 3, 4, 5)),
        ("time", False, (2, 5, 3, 4), (2, 5, 3, 4)),
    ],
)
def test_an_augmentation_gets_its_view_and_the_batch_its_axes_back(
    view: str, timesteps: bool, seen: tuple[int, ...], resolved: tuple[int, ...]
) -> None:
    augmentation = SeesView(view)
    x = torch.arange(120.0).reshape(2, 3, 4, 5)
    out = pipeline_of(timesteps, one=augmentation).run(batch_of(x), "after", True, 0, 0)
    assert (augmentation.seen, augmentation.resolved) == (seen, resolved)
    assert augmentation.steps == ([3, 3] if timesteps else [5, 5])
    added = out.x - x  # ten times what was drawn for the sample, as is its label
    torch.testing.assert_close(added, (out.y - batch_of(x).y).reshape(2, 1, 1, 1).expand(x.shape), rtol=0, atol=1e-4)
    assert (added > 0).all()


def test_lengths_are_those_of_the_batch_where_it_has_some() -> None:
    augmentation, batch = SeesView("time"), batch_of(torch.zeros(2, 3, 4, 5))._replace(lengths=torch.tensor([1, 2]))
    out = pipeline_of(True, one=augmentation).run(batch, "after", True, 0, 0)
    assert augmentation.steps == [1, 2]
    assert out.lengths is not None
    assert out.lengths.tolist() == [2, 3]


def test_plain_data_draws_differ_between_samples() -> None:
    out = pipeline_of(False, one=Draws()).run(batch_of(torch.zeros(8, 1, 4)), "after", True, 0, 0).x
    assert len(out[:, 0, 0].unique()) == 8


@pytest.mark.parametrize("evaluate", [False, True])
@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True), (True, True)])
def test_runs_where_and_when_its_flags_say(evaluate: bool, before: bool, after: bool) -> None:
    pipeline = pipeline_of(one=Draws(evaluate=evaluate, before=before, after=after))
    batch = batch_of(torch.zeros(4, 3, 1, 4))
    for training in (True, False):
        ran = {where: bool(pipeline.run(batch, where, training, 0, 0).x.any()) for where in ("before", "after")}
        active = training or evaluate
        assert ran == {"before": before and active, "after": after and active}


def test_off_means_the_same_batch() -> None:
    batch = batch_of(torch.rand(4, 3, 1, 4))
    pipeline = pipeline_of(flip=HorizontalFlip(probability=1), noise=GaussianNoise(std=1), mixup=Mixup(alpha=1))
    assert all(kept is given for kept, given in zip(pipeline.run(batch, "after", False, 0, 0), batch, strict=True))


@settings(max_examples=20)
@given(seeds, st.integers(0, 99), st.integers(0, 999))
def test_draws_are_a_function_of_seed_name_place_epoch_and_step(seed: int, epoch: int, step: int) -> None:
    def first(seed: int, epoch: int, step: int) -> Tensor:
        return values(pipeline_of(seed=seed, one=Draws()), epoch, step)

    reference = first(seed, epoch, step)
    torch.rand(7), random.random(), np.random.rand()
    pipeline = pipeline_of(seed=seed, one=Draws(before=True), two=Draws())
    pipeline.run(batch_of(torch.zeros(3, 3, 1, 4)), "after", True, 5, 5)
    both = values(pipeline, epoch, step)
    before = pipeline.run(batch_of(torch.zeros(8, 3, 1, 4)), "before", True, epoch, step).x
    assert torch.equal(first(seed, epoch, step), reference)
    for other in (first(seed + 1, epoch, step), first(seed, epoch + 1, step), first(seed, epoch, step + 1)):
        assert not torch.equal(other, reference)
    assert not torch.isclose(both - reference, reference).any()  # `two` draws its own
    assert not torch.isclose(before, reference).any()


def test_every_augmentation_repeats_itself_and_leaves_the_global_generators_alone() -> None:
    every = {"flip": HorizontalFlip(), "shift": Shift(pixels=2), "cut": Cutout(size=2), "noise": GaussianNoise(std=1)}
    x = torch.rand(6, 3, 2, 5, 5)
    kept, before = x.clone(), (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    outs = [pipeline_of(**every, mixup=Mixup(alpha=1)).run(batch_of(x), "after", True, 2, 3) for _ in range(2)]
    after = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    assert torch.equal(outs[0].x, outs[1].x)
    assert torch.equal(outs[0].y, outs[1].y)
    assert torch.equal(x, kept)
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize(
    "kept", [HorizontalFlip(), Shift(pixels=2), Cutout(size=2), GaussianNoise(std=1), Mixup(alpha=1)]
)
def test_adding_one_changes_no_others_draws(kept: Augmentation) -> None:
    # The others draw, but do nothing, so that the result is that of `kept` alone.
    batch = batch_of(torch.rand(6, 3, 2, 5, 5))
    alone = pipeline_of(kept=kept).run(batch, "after", True, 1, 2)
    added = {"shift": Shift(pixels=0), "noise": GaussianNoise(std=0)}
    among = pipeline_of(**added, kept=kept, cutout=Cutout(size=0)).run(batch, "after", True, 1, 2)
    assert torch.equal(alone.x, among.x)
    assert torch.equal(alone.y, among.y)
    assert not torch.equal(alone.x, batch.x)


def test_augmentations_run_in_order() -> None:
    # On x = 1: noise after a full cutout is seen, noise before it is not.
    noise, cutout = GaussianNoise(std=1), Cutout(size=99)
    batch = batch_of(torch.ones(4, 2, 1, 5))
    assert pipeline_of(cutout=cutout, noise=noise).run(batch, "after", True, 0, 0).x.any()
    assert not pipeline_of(noise=noise, cutout=cutout).run(batch, "after", True, 0, 0).x.any()


def test_one_draw_for_the_whole_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"augmentation.one: u must have one row a sample, \[8,…\], got \[1\]"):
        values(pipeline_of(one=DrawsOne()))


def test_whole_numbers_are_refused() -> None:
    batch = batch_of(torch.ones(2, 3, 1, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"augmentation\.mixup: x must be floating point"):
        pipeline_of(mixup=Mixup(alpha=1)).run(batch, "after", True, 0, 0)


@pytest.mark.parametrize("entry", [nn.Identity(), torch.flip, HorizontalFlip])
def test_what_is_not_an_augmentation_is_refused(entry: object) -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.mine: .* is not an Augmentation") as caught:
        pipeline_of(mine=entry)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.b", "keys"])
def test_a_name_that_torch_cannot_store_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="choose another"):
        pipeline_of(**{name: HorizontalFlip()})


def test_description() -> None:
    assert pipeline_of().describe() == "no augmentation"
    pipeline = pipeline_of(shift=Shift(pixels=1), noise=GaussianNoise(std=0.1, before=True), normalise=Normalise())
    assert pipeline.describe().split("\n") == [
        "shift(pixels=1) after, training only, one draw a sample shared over T",
        (
            "→ noise(std=0.1) before and after, training only, "
            "one strength a sample shared over T, values new in every frame"
        ),
        "→ normalise(statistics of the training part) after, training and evaluation, nothing drawn",
    ]
    assert pipeline_of(False, flip=HorizontalFlip()).describe() == (
        "flip(probability=0.5) after, training only, one draw a sample"
    )


def test_torchs_own_apply_still_walks_a_model_that_holds_a_pipeline() -> None:
    visited: list[nn.Module] = []
    model = nn.ModuleList([nn.Linear(1, 1), pipeline_of(one=Draws())])
    model.apply(visited.append)
    assert visited == [model[0], model[1], model]
