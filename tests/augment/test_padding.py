"""What stands behind the end of a sample, by its lengths, changes nothing in front of it, whatever augments it."""

import pytest
import torch
from configurations import configured

from membrane.augment.pipeline import Pipeline
from membrane.config.build import build
from membrane.data.feed.batch import Batch
from membrane.schema import GROUPS

N, T = 12, 7
EVENTS = ("dataset=digits_events", "framework=multistep_tid", f"timesteps={T}")


def augmented(choice: str, padding: float, longest: int = T, steps: int = T) -> Batch:
    """Counts 0 … 3 of a sensor [N,T,2,8,8], 3 to ``longest`` timesteps of them valid, behind which stands ``padding``.

    The batch is cut to so many ``steps``.
    """
    nodes = configured(f"augmentation=[{choice}]", *EVENTS).augmentation
    x = torch.randint(4, (N, T, 2, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    lengths, index = torch.arange(N) % (longest - 2) + 3, torch.arange(N)
    valid = (torch.arange(T) < lengths[:, None])[..., None, None, None]
    pipeline = Pipeline({name: build(node) for name, node in nodes.items()}, 3, timesteps_in_data=True, seed=0)
    pipeline.fit([x.where(valid, 0)], 1.0)
    batch = Batch(x.where(valid, padding)[:, :steps], index % 3, lengths, index, index)
    return pipeline.run(pipeline.run(batch, "before", True, 0, 0), "after", True, 0, 0)


OTHERS = ("sensor_rotation", "autoaugment", "frequency_mask", "time_subset")
"""Augmentations that are refused for frames of events, all of which treat each frame by itself; and one that leaves
timesteps out, which is compared in tests/augment/test_time_subset.py."""


@pytest.mark.parametrize("choice", [each.choice for each in GROUPS["augmentation"][1] if each.choice not in OTHERS])
def test_padding_changes_nothing(choice: str) -> None:
    first, second = augmented(choice, 0.0), augmented(choice, 50.0)
    assert first.lengths is not None
    assert second.lengths is not None
    assert torch.equal(first.lengths, second.lengths)
    assert torch.equal(first.y, second.y)
    valid = torch.arange(T) < first.lengths[:, None]
    assert torch.equal(first.x[valid], second.x[valid])


DRAWN_ANEW = ("noise", "exponential_noise", "eventmix")
"""Augmentations whose draws depend on T: one generator for all values of a batch, Gaussians in shares of T."""
CHOICES = [each.choice for each in GROUPS["augmentation"][1] if each.choice not in (*OTHERS, *DRAWN_ANEW)]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_batch_that_is_cut_to_its_longest_sample_is_augmented_alike(choice: str) -> None:
    whole, cut = augmented(choice, 0.0, longest=5), augmented(choice, 0.0, longest=5, steps=5)
    assert whole.lengths is not None
    assert torch.equal(cut.lengths, whole.lengths)  # type: ignore[arg-type]
    torch.testing.assert_close(cut.y, whole.y)
    valid = torch.arange(5) < whole.lengths[:, None]
    torch.testing.assert_close(cut.x[valid], whole.x[:, :5][valid])
