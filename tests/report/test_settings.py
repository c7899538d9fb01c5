"""A run's settings, flat, and those that tell runs apart."""

from pathlib import Path
from typing import Any

from reported_runs import CONFIG, PLIF, RELU

from membrane.report.settings import differing_settings, flat_settings, read_settings, setting_text


def flat(**changes: Any) -> dict[str, Any]:
    """The settings of a configuration with changes."""
    return flat_settings({**CONFIG, **changes})


def test_a_choice_stands_by_its_name_and_what_shapes_nothing_is_left_out() -> None:
    settings = flat()
    assert (settings["neuron"], settings["neuron.tau"], settings["optimizer"]) == ("lif", 2.0, "adamw")
    assert settings["dataset.shape"] == "[1,8,8]"
    assert not {"name", "seed", "figures", "trainer.workers", "paths.data"} & settings.keys()
    assert settings["trainer.accumulate"] == 1


def test_a_class_of_ones_own_stands_by_its_name() -> None:
    assert flat(model={"_target_": "theirs.nets.Mine", "width": 3})["model"] == "Mine"


def test_several_choices_of_a_group_are_one_setting_and_each_has_its_own() -> None:
    settings = flat(augmentation={"shift": {"_target_": "membrane.augment.image.Shift", "pixels": 2}})
    assert (settings["augmentation"], settings["augmentation.shift.pixels"]) == ("shift", 2)
    assert flat(augmentation={})["augmentation"] is None


def test_a_setting_that_came_later_tells_nothing_where_it_has_the_old_meaning() -> None:
    old = {"_target_": "membrane.data.digits.Digits", "name": "digits"}
    now = {**old, "fold": None}
    assert "dataset.fold" not in flat(dataset=now)
    assert differing_settings([flat(dataset=old), flat(dataset={**old, "fold": "1/5"})]) == ["dataset.fold"]


def test_only_what_differs_is_a_column_and_what_a_neuron_brings_with_it_is_none() -> None:
    assert differing_settings([flat(), flat(**PLIF), flat(**RELU)]) == ["neuron"]
    assert differing_settings([flat(), flat(timesteps=8), flat(**PLIF)]) == ["neuron", "timesteps"]
    assert differing_settings([flat()]) == []


def test_settings_of_one_choice_are_columns_where_they_differ() -> None:
    slow = {"neuron": {**CONFIG["neuron"], "tau": 4.0}}
    assert differing_settings([flat(), flat(**slow), flat(**PLIF)]) == ["neuron", "neuron.tau"]
    sharp = {"surrogate": {**CONFIG["surrogate"], "alpha": 2.0}}
    assert differing_settings([flat(), flat(**sharp), flat(**RELU)]) == ["neuron", "surrogate.alpha"]


def test_a_rate_of_another_optimizer_is_a_column() -> None:
    sgd = {"optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1}}
    assert differing_settings([flat(), flat(**sgd)]) == ["optimizer", "optimizer.lr"]


def test_runs_that_only_a_missing_setting_tells_apart_show_it() -> None:
    assert differing_settings([{"a": 1}, {"a": 1, "b": 2}]) == ["b"]


def test_values_as_cells() -> None:
    assert [setting_text(each) for each in (None, True, 0.002, 1e-8, "x", 4)] == [
        "none",
        "true",
        "0.002",
        "1e-08",
        "x",
        "4",
    ]


def test_no_reference_of_a_strangers_file_is_resolved_and_a_broken_one_is_noted(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("timesteps: ${oc.env:HOME}\nmodel: !!python/object/apply:os.system [x]\n")
    unread: list[str] = []
    assert read_settings(tmp_path, unread) == {}
    assert "config.yaml: damaged (ConstructorError" in unread[0]
    (tmp_path / "config.yaml").write_text("timesteps: ${oc.env:HOME}\n")
    assert read_settings(tmp_path, unread) == {"timesteps": "${oc.env:HOME}"}
