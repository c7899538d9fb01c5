"""A user's own classes are built with their own settings."""

import sys
from pathlib import Path
from typing import Any

import pytest

from membrane.config.build import build
from membrane.config.check import check
from membrane.config.redaction import published
from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint
from membrane.training.loading import config_of

THEIRS = '''
from torch import nn
class Net(nn.Module):
    """A model that says what it was given."""
    def __init__(self, *, input_shape, classes, timesteps, neuron, width=3, target="t", extra=None):
        super().__init__()
        self.given = (input_shape, classes, timesteps, width, target, extra)
class Data:
    def __init__(self, *, folds=1):
        self.folds = folds
class Scheduler:
    def __init__(self, optimizer, *, slope):
        self.slope = slope
'''
GIVEN: dict[str, Any] = {"input_shape": [1, 8, 8], "classes": 10, "timesteps": 4, "neuron": None}


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "their_package.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("their_package", None)


@pytest.mark.usefixtures("theirs")
def test_a_trusted_class_is_built_with_its_own_settings(raw: dict[str, Any]) -> None:
    node = {"_target_": "their_package.Net", "width": 5, "target": "x", "extra": {"a": [1]}}
    config = check({**raw, "model": node, "trust": ["their_package.Net"]})
    assert config.model.name_of_choice == "Net"
    assert build(config.model, config.trust, **GIVEN).given == ([1, 8, 8], 10, 4, 5, "x", {"a": [1]})
    again = config_of(published(config), trust=["their_package.Net"])
    assert again.model.parameters() == {"width": 5, "target": "x", "extra": {"a": [1]}}
    assert (published(again), fingerprint(again)) == (published(config), fingerprint(config))
    with pytest.raises(ConfigError, match="not on membrane's list"):
        config_of(published(config))
    with pytest.raises(ConfigError, match="not on membrane's list"):
        build(config.model, **GIVEN)


@pytest.mark.usefixtures("theirs")
def test_a_trusted_class_is_not_given_what_describes_it(raw: dict[str, Any]) -> None:
    data = {
        "_target_": "their_package.Data",
        "name": "d",
        "shape": [1, 8, 8],
        "classes": 2,
        "split_seed": 1,
        "folds": 5,
    }
    schedule = {"_target_": "their_package.Scheduler", "interval": "step", "warmup": 1, "slope": 0.5}
    trust = ["their_package.Data", "their_package.Scheduler"]
    config = check({**raw, "dataset": data, "scheduler": schedule, "trust": trust})
    assert build(config.dataset, config.trust).folds == 5
    assert config.scheduler.parameters() == {"slope": 0.5}
    with pytest.raises(ConfigError, match=r"^dataset\.classes: expected a whole number, got None$"):
        check({**raw, "dataset": {**data, "classes": None}, "trust": trust})


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wdth": 5}, r"their_package\.Net: got an unexpected keyword argument 'wdth'"),
        ({"classes": 5}, r"their_package\.Net: classes is given by membrane and cannot be set"),
    ],
)
def test_settings_that_a_trusted_class_does_not_take(
    settings: dict[str, Any], message: str, raw: dict[str, Any]
) -> None:
    trust = ["their_package.Net"]
    config = check({**raw, "model": {"_target_": trust[0], **settings}, "trust": trust})
    with pytest.raises(ConfigError, match=message):
        build(config.model, trust, **GIVEN)
