"""Data sets: the facts of one stay out of its constructor, and which facts make no sense."""

import inspect
from typing import Any

import pytest
from cases import check_each
from pydantic import ValidationError

from membrane.data import saccades
from membrane.schema.dataset import DATASETS, Arrays, Dataset, Digits, trained_on_test_part, trained_on_test_share
from membrane.schema.event_datasets import CIFAR10DVS, EVENT_DATASETS, DigitsEvents

FACTS = {"_target_": "x.Y", "name": "d", "shape": [1, 8, 8], "classes": 10}


def facts(**changes: Any) -> Dataset:
    return Dataset.model_validate({**FACTS, **changes})


def test_facts_have_the_defaults_of_classification_without_time() -> None:
    d = facts()
    assert (d.task, d.timesteps_in_data, d.split_seed, d.validation) == ("classification", False, 0, 0.15)
    for fact in ("name", "shape", "classes"):
        with pytest.raises(ValidationError, match=f"{fact}\n  Field required"):
            Dataset.model_validate({key: value for key, value in FACTS.items() if key != fact})


def test_a_constructor_is_given_its_own_settings_and_no_fact() -> None:
    events = DigitsEvents.model_validate({**FACTS, "shape": [2, 20, 20], "split_seed": 3, "size": 20})
    assert set(events.parameters()) == set(DigitsEvents.model_fields) - set(Dataset.model_fields)
    own = {name: each.default for name, each in inspect.signature(saccades.DigitsEvents).parameters.items()}
    assert events.parameters() == {**{name: own[name] for name in events.parameters()}, "size": 20}
    assert Digits.model_validate(FACTS).parameters() == {}


def test_facts_at_the_edge_are_taken_and_those_beyond_are_not() -> None:
    def check_edge(case: tuple[str, Any, Any]) -> None:
        setting, edge, beyond = case
        assert getattr(facts(**{setting: edge}), setting) == edge
        with pytest.raises(ValidationError, match=setting):
            facts(**{setting: beyond})

    tiny = 1e-9
    check_each(
        [
            ("shape", [3, 4], [3]),
            ("shape", [3, 4, 5], [3, 4, 5, 6]),
            ("shape", [1, 1], [0, 1]),
            ("classes", 1, 0),
            ("task", "regression", "ranking"),
            ("split_seed", 0, -1),
            ("validation", tiny, 0.0),
            ("validation", 1 - tiny, 1.0),
        ],
        check_edge,
    )


def test_a_fold_is_a_number_of_several() -> None:
    for text, numbers in (("1/2", (1, 2)), ("2/5", (2, 5)), ("10/10", (10, 10)), (None, None)):
        assert facts(fold=text).fold_number == numbers
    assert facts().fold is None
    malformed = "expected the number of a fold, from 1, and how many there are, as 2/5"
    for wrong in (
        2,
        0.4,
        True,
        "2",
        "a/5",
        "0/5",
        "02/5",
        "-1/5",
        "2/ 5",
        "2/5/5",
        "2/5\n",
        "٢/5",
        "",
        "1/" + "9" * 5000,
    ):
        with pytest.raises(ValidationError, match=malformed):
            facts(fold=wrong)
    with pytest.raises(ValidationError, match="6/5: there is no fold 6 of 5, the last one is 5/5"):
        facts(fold="6/5")
    with pytest.raises(ValidationError, match="1/1: two folds at least are needed"):
        facts(fold="1/1")


def test_groups_that_are_left_out_are_a_set() -> None:
    assert facts().leave_out is None
    assert facts(leave_out=3).leave_out == facts(leave_out=[3, 3]).leave_out == [3]
    assert facts(leave_out=[4, -1, 0]).leave_out == [-1, 0, 4]
    for wrong in ([], "3", True, 1.0, [1, None], [[1]], {"a": 1}):
        with pytest.raises(ValidationError, match="expected the number of a group, as 3, or a list of several"):
            facts(leave_out=wrong)


def test_weights_know_a_test_part_that_they_were_trained_on() -> None:
    def known(now: Any, before: Any, **changes: Any) -> bool:
        return bool(trained_on_test_part(facts(leave_out=now), {**FACTS, "leave_out": before, **changes}))

    seen = [(3, None), (None, 3), (3, 4), ([3, 4], 3), (None, [3, 4])]
    unseen = [(None, None), (3, 3), ([3, 4], [4, 3]), (3, [4, 3])]
    assert [known(now, before) for now, before in seen] == [True] * len(seen)
    assert [known(now, before) for now, before in unseen] == [False] * len(unseen)
    assert not known(3, 4, _target_="x.Z")
    assert not known(3, 4, path="other.npz")
    assert trained_on_test_part(facts(), FACTS) == ""
    line = "dataset.leave_out=[3,5] tests on samples that the weights were trained on, with dataset.leave_out=null"
    assert trained_on_test_part(facts(leave_out=[5, 3]), FACTS) == line


def test_another_partition_or_share_would_test_on_what_was_trained_on() -> None:
    events = {"_target_": CIFAR10DVS.public, "name": "d", "classes": 10}
    former = CIFAR10DVS.model_validate({**events, "partition": "random"}).model_dump(by_alias=True)
    reason = "tests on samples that the weights were trained on, with"
    now = CIFAR10DVS.model_validate(events)
    line = f"dataset.partition=spikingjelly {reason} dataset.partition=random"
    assert trained_on_test_part(now, former) == line
    assert trained_on_test_part(now, now.model_dump(by_alias=True)) == ""
    assert (
        trained_on_test_share(facts(test_share=0.5), FACTS) == f"dataset.test_share=0.5 {reason} dataset.test_share=0.2"
    )
    for dataset in (facts(), facts(test_share=0.2), facts(test_share=0.5, leave_out=3)):
        assert trained_on_test_share(dataset, FACTS) == ""
    assert trained_on_test_share(facts(test_share=0.5), {**FACTS, "_target_": "x.Z"}) == ""
    own = {"_target_": Arrays.public, "name": "arrays", "path": "my.npz"}
    cut = Arrays.model_validate({**own, "window": 6})
    assert trained_on_test_share(cut, own) == f"dataset.window=6 {reason} dataset.window=null"
    assert (
        trained_on_test_share(cut, {**own, "window": 6, "stride": 3})
        == f"dataset.stride=null {reason} dataset.stride=3"
    )
    assert trained_on_test_share(cut, {**own, "window": 6}) == ""


def test_settings_of_event_recordings_at_the_edge() -> None:
    def check_edge(case: tuple[str, Any, Any]) -> None:
        setting, edge, beyond = case
        assert getattr(DigitsEvents.model_validate({**FACTS, "shape": [], setting: edge}), setting) == edge
        with pytest.raises(ValidationError, match=setting):
            DigitsEvents.model_validate({**FACTS, "shape": [], setting: beyond})

    tiny = 1e-9
    edges = [(name, 0.0, -tiny) for name in ("amplitude", "fixation", "mismatch", "background")]
    check_each([*edges, ("threshold", tiny, 0.0), ("size", 1, 0), ("noise_seed", 0, -1)], check_edge)


def test_every_data_set_has_a_name_and_a_class_of_its_own() -> None:
    every = (Digits, DigitsEvents, *DATASETS, *EVENT_DATASETS)
    assert len({each.choice for each in every}) == len({each.public for each in every}) == len(every)
    assert all(each.choice and each.public.startswith("membrane.data.") for each in every)
