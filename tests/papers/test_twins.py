"""Our own baselines and their ANN twins: the same recipe, initial weights and batches in the same order."""

from pathlib import Path

import pytest
import torch
from configurations import configured

from membrane.config.admission import admitted_class
from membrane.data.feed.batch import Batch
from membrane.data.samples import Samples
from membrane.papers.registry import paper_rows
from membrane.schema import Config
from membrane.training.assembly import build_data, build_learner

EXPERIMENTS = Path(__file__).parents[2] / "conf" / "experiment"
OWN = [row.id for row in paper_rows(EXPERIMENTS) if row.paper.citation.startswith("own baseline")]
FRAMES = {
    "uci_har": ["encoder=chunks"],
    "fsdd": ["dataset.form=timesteps", "timesteps=32"],
    "fashion_mnist_small": ["encoder=rate", "augmentation=none"],
    "nmnist_subset": [],
}
"""Settings that give a data set timesteps, for the frameworks that need them in the data."""
CASES = [
    *([name, f"framework={framework}"] for name in OWN if FRAMES[name] for framework in ("singlestep", "multistep")),
    *([name, f"framework={each}", *FRAMES[name]] for name in OWN for each in ("singlestep_tid", "multistep_tid")),
]


def few_samples(config: Config) -> Samples:
    """40 random samples of the data set's shape and classes, in four groups that have all classes."""
    steps = [config.timesteps] if config.dataset.timesteps_in_data else []
    x = torch.rand(40, *steps, *config.dataset.shape, generator=torch.Generator().manual_seed(0))
    return Samples(x, torch.arange(40) % config.dataset.classes, group=torch.arange(40) // 10)


def batches_of(config: Config, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Return the training batches of the first epoch, of few samples."""
    samples = few_samples(config)
    monkeypatch.setattr(admitted_class(config.dataset.target), "load", lambda *_: (samples, samples))
    return list(build_data(config, build_learner(config)).train_dataloader())


def test_every_own_baseline_has_a_twin_under_the_frameworks_that_apply() -> None:
    assert set(OWN) == set(FRAMES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case[:2]))
def test_a_twin_differs_in_its_neurons_alone(case: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [f"experiment={case[0]}", *case[1:], "seed=3", "batch_size=8"]
    snn, ann = configured(*typed), configured(*typed, "neuron=relu")
    one, other = snn.model_dump(), ann.model_dump()
    assert {key for key in one if one[key] != other[key]} == {"neuron", "surrogate"}
    weights, twins = (build_learner(each).model.state_dict() for each in (snn, ann))
    assert list(weights) == list(twins)
    assert all(torch.equal(weights[name], twins[name]) for name in weights)
    ours, theirs = (batches_of(each, monkeypatch) for each in (snn, ann))
    assert len(ours) > 1
    assert torch.cat([batch.index for batch in ours]).tolist() != sorted(range(40))
    for batch, twin in zip(ours, theirs, strict=True):
        assert batch.index.tolist() == twin.index.tolist()
        assert torch.equal(batch.x, twin.x)
