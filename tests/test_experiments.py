"""Every experiment trains as its file says, on random data of its data set's shape and two batches of each part.

Large networks are narrow here, and events are few frames.
"""

from pathlib import Path

import pytest
import torch
from configurations import configured

from membrane.cli.train import train_command
from membrane.config.admission import admitted_class
from membrane.data.samples import Samples
from membrane.schema import Config

FOLDER = Path(__file__).parents[1] / "conf" / "experiment"
EXPERIMENTS = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("**/*.yaml"))
N = 40
SMALL_VGG, SMALL_TIME = ["model.channels=2", "model.pixels=16"], ["timesteps=2"]
SHRUNKEN = {
    "plif/": ["model.channels=2", *SMALL_TIME],
    "spikingjelly/dvs_gesture_csnn": ["model.channels=2", *SMALL_TIME],
    "sew/": ["model.channels=[2,4]", "augmentation.time_subset.steps=1", *SMALL_TIME],
    "tdbn/": ["model.channels=2", *SMALL_TIME],
    "tebn/": ["model.channels=2", *SMALL_TIME],
    "tet/resnet19": ["model.channels=2", *SMALL_TIME],
    "tet/vggsnn": [*SMALL_VGG, *SMALL_TIME],
    "psn/vggsnn": [*SMALL_VGG, *SMALL_TIME],
    "psn/cifar10": ["model.filters=[2,2,2,2,2,2]", "model.fc_units=[8]"],
    "psn/sequential": ["model.filters=[2,2,2,2,2,2]", "model.fc_units=[8]"],
    "plugin/svgg16": ["model.filters=[2,2,2,2,2,2,2,2,2,2,2,2,2]", "model.fc_units=[8,8]"],
    "shd/radlif": ["model.units=[8,8]", "timesteps=4"],
    "shd/se_adlif": ["model.units=[8,8]", "timesteps=4"],
    "shd/dcls_delays": ["model.units=[8,8]", "timesteps=4"],
    "plugin/scnn_dvs": SMALL_TIME,
    "plugin/sresnet8": ["protocol=last"],  # so few samples of so many classes cannot be divided
}
"""Settings of a network that is too large for a test, by the beginning of the experiment's name."""


def random_samples(config: Config) -> Samples:
    """Samples of the shape, type of labels and number of classes of a data set; four groups, each with all classes."""
    dataset = config.dataset
    steps = [config.timesteps] if dataset.timesteps_in_data else []
    x = torch.rand(N, *steps, *dataset.shape)
    y = torch.arange(N) % dataset.classes if dataset.task == "classification" else torch.rand(N, dataset.classes)
    return Samples(x, y, group=torch.arange(N) // (N // 4))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_trains(experiment: str, tmp_path: Path, monkeypatch, capfd) -> None:
    shrunken = [each for start, settings in SHRUNKEN.items() if experiment.startswith(start) for each in settings]
    config = configured(f"experiment={experiment}", *shrunken)
    data = admitted_class(config.dataset.target)
    test = Samples(*(column[: N // 4] for column in (random_samples(config).x, random_samples(config).y)))
    monkeypatch.setattr(data, "load", lambda *_: (random_samples(config), test))
    lines = ["debug=fast", "batch_size=8", "logger=csv", "figures=false", f"paths.runs={tmp_path}"]
    assert train_command([f"experiment={experiment}", *shrunken, *lines]) == 0
    assert "test" in capfd.readouterr().out
