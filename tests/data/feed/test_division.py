"""Folds and left-out groups divide a whole data set: every sample once, no recording and no group on two sides."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import part

from membrane.data.feed.division import Division
from membrane.data.feed.part import Part
from membrane.data.samples import Samples
from membrane.errors import ConfigError


def divided(*loaded: Samples, protocol: str = "val_best", task: str = "classification", **changes: Any) -> Division:
    return Division(loaded, protocol=protocol, task=task, **changes)


@st.composite
def data_sets(draw: st.DrawFn) -> list[Samples]:
    """Two or three parts, with recordings of some samples and groups of some recordings, numbered alike in all parts.

    The training part begins with a recording of each group, in which both classes are. x is the number of the sample,
    counted through all parts.
    """
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    groups, parts, start = draw(st.integers(3, 8)), list[Samples](), 0
    for _ in range(draw(st.integers(2, 3))):
        n = draw(st.integers(16, 60))
        recording = np.concatenate([np.arange(16) // 2, 8 + np.sort(chance.integers(n // 2, size=n - 16))])
        group = np.concatenate([np.arange(8) % groups, chance.integers(groups, size=n)])[recording]
        y = np.concatenate([np.arange(16) % 2, chance.integers(2, size=n - 16)])
        kept = slice(None) if not parts else slice(draw(st.integers(0, n - 1)), None)
        x = torch.arange(start, start + n, dtype=torch.float32).reshape(n, 1, 1)[kept]
        parts.append(Samples(x - x[0] + start, y[kept], recording[kept], group=group[kept]))
        start += len(x)
    return parts


def members(division: Division, name: str) -> tuple[list[int], set[int]]:
    """The numbers of a part's samples, and its groups."""
    samples = division.parts[name]
    assert samples.group is not None
    return samples.gather(samples.index).flatten().int().tolist(), set(samples.group.tolist())


@given(loaded=data_sets(), count=st.integers(2, 3))
@settings(max_examples=40)
def test_every_sample_that_is_not_test_validates_in_exactly_one_fold(loaded: list[Samples], count: int) -> None:
    rest = Part.whole(*loaded[:-1])
    numbers = rest.index.tolist()
    validated: list[int] = []
    divisions = [divided(*loaded, fold=(k, count)) for k in range(1, count + 1)]
    for division in divisions:
        (train, trained), (val, groups) = (members(division, name) for name in ("train", "val"))
        assert sorted(train + val) == numbers
        assert trained.isdisjoint(groups)
        recordings = [set(division.parts[name].recording.tolist()) for name in ("train", "val")]
        assert recordings[0].isdisjoint(recordings[1])
        assert set(division.parts["train"].y.tolist()) == set(rest.y.tolist())
        assert division.parts["test"].sources == (loaded[-1],)
        validated += val
    assert sorted(validated) == numbers
    assert len({division.split_hash for division in divisions}) == count


@given(loaded=data_sets(), protocol=st.sampled_from(["val_best", "last", "paper_best_on_test"]), data=st.data())
@settings(max_examples=40)
def test_left_out_groups_alone_are_the_test_part_and_all_others_train_and_validate(
    loaded: list[Samples], protocol: str, data: st.DataObject
) -> None:
    whole = Part.whole(*loaded)
    assert whole.group is not None
    there = sorted(set(whole.group.tolist()))
    numbers = data.draw(st.sets(st.sampled_from(there), min_size=1, max_size=max(1, len(there) - 3)))
    division = divided(*loaded, protocol=protocol, leave_out=sorted(numbers), validation=0.3)
    (train, trained), (val, validated), (test, tested) = (members(division, name) for name in division.parts)
    assert sorted(train + val + test) == list(range(len(whole)))
    assert tested == numbers
    assert trained.isdisjoint(validated | tested)
    assert validated.isdisjoint(tested)
    assert (len(val) > 0) == (protocol == "val_best")
    for name, each in division.parts.items():  # positions count through the whole data set
        assert members(division, name)[0] == each.index.tolist()
    assert division.split_hash != divided(*loaded, protocol="last").split_hash


def speakers(*counts: int, groups: int = 6) -> list[Samples]:
    """Parts of so many samples of two classes, three in a row of one speaker."""
    return [part(n, group=torch.arange(n) // 3 % groups) for n in counts]


def test_folds_are_of_what_is_not_left_out() -> None:
    loaded = speakers(90, 36)
    divisions = [divided(*loaded, leave_out=[4], fold=(k, 5)) for k in range(1, 6)]
    assert {tuple(members(each, "test")[1]) for each in divisions} == {(4,)}
    assert sorted(group for each in divisions for group in members(each, "val")[1]) == [0, 1, 2, 3, 5]


def test_groups_that_share_a_recording_are_in_one_fold() -> None:
    # every seventh recording is of speakers 0 and 1 both
    group = torch.arange(84) // 3 % 6
    recording = torch.where(group <= 1, torch.arange(84) // 6 % 7, 100 + group)
    loaded = [part(84, group=group, recording=recording), *speakers(9)]
    validated = [members(divided(*loaded, fold=(k, 5)), "val")[1] for k in range(1, 6)]
    assert sorted(map(sorted, validated)) == [[0, 1], [2], [3], [4], [5]]


def test_what_is_given_up_is_noted_and_what_was_done_recorded() -> None:
    two, three = speakers(300, 90), speakers(300, 60, 90)
    own = "the data set's own division into {} is given up: the groups that are left out are the test part"
    assert list(divided(*two).notes()) == list(divided(*three).notes()) == []
    assert list(divided(*two, fold=(1, 2)).notes()) == []
    assert list(divided(*three, fold=(1, 2)).notes()) == [
        "the data set's own validation part is given up: the folds are of it and the training part together"
    ]
    assert list(divided(*two, leave_out=[3]).notes()) == [own.format("training and test")]
    division = divided(*three, leave_out=[3, 5], fold=(2, 4))
    assert list(division.notes()) == [own.format("training, validation and test")]
    assert division.title() == ", fold 2/4, groups 3, 5 left out"
    assert (divided(*two).title(), divided(*two, leave_out=[3]).title()) == ("", ", group 3 left out")
    facts = division.facts()
    assert (facts["fold"], facts["leave_out"]) == ("2/4", [3, 5])
    # 450 samples of six speakers; two of these are left out, one validates
    assert facts["test"] == {"samples": 147, "recordings": 147, "groups": 2, "group_numbers": [3, 5]}
    assert facts["train"]["groups"] == 3
    assert sorted(facts["train"]["group_numbers"] + facts["val"]["group_numbers"]) == [0, 1, 2, 4]
    plain = divided(part(60), part(6), protocol="last").facts()
    assert plain == {
        "fold": None,
        "leave_out": None,
        "train": {"samples": 60, "recordings": 60},
        "test": {"samples": 6, "recordings": 6},
    }


def test_warnings_of_folds() -> None:
    few = "only {} validation samples choose the best epoch, largely by chance: {}, protocol=last trains on all and "
    assert list(divided(part(60), part(6), fold=(1, 5)).warnings()) == [
        few.format(12, "fewer folds are larger") + "chooses none"
    ]
    uneven = torch.cat([torch.zeros(150), torch.arange(50) + 1]).long()
    lines = divided(part(200, recording=uneven), part(6), fold=(1, 4)).warnings()
    assert list(lines) == ["75% of the training samples validate, not 25%: recordings and groups are not divided"]


def test_a_class_that_training_does_not_have_is_warned() -> None:
    most = torch.arange(60) % 3
    there, absent = part(60, y=most), part(6, y=torch.tensor([0, 1, 2, 4, 4, 0]))
    assert list(divided(there, absent, protocol="last").warnings()) == [
        "the test part has class 4, of which training has no sample"
    ]
    first = part(60, y=torch.arange(60) % 2)
    lines = list(divided(first, part(60, y=most), absent).warnings())
    assert lines == [
        "the validation part has class 2, of which training has no sample",
        "the test part has 2 classes, the first of them class 2, of which training has no sample",
    ]
    assert not list(divided(there, part(6, y=torch.zeros(6).long()), protocol="last").warnings())


def test_labels_that_do_not_begin_at_0_are_warned() -> None:
    y = torch.arange(60) % 2
    from_1 = divided(part(60, y=y + 1), part(6, y=y[:6] + 1), protocol="last")
    assert list(from_1.warnings()) == ["the smallest label is 1, and labels count from 0: class 0 has no sample"]
    assert not list(divided(part(60, y=y), part(6, y=y[:6] + 1), protocol="last").warnings())[1:]


def test_the_test_part_that_is_cut_is_in_the_hash() -> None:
    loaded = speakers(90, 36)
    hashes = {divided(*loaded, protocol="last", leave_out=numbers).split_hash for numbers in ([0], [1], [0, 1])}
    assert len(hashes) == 3


def test_regression_is_dealt_and_left_out_without_classes() -> None:
    targets = [Samples(each.x, torch.rand(len(each), 1), group=each.group) for each in speakers(90, 36)]
    validated = [members(divided(*targets, task="regression", fold=(k, 3)), "val")[1] for k in (1, 2, 3)]
    assert sorted(group for groups in validated for group in groups) == list(range(6))
    assert members(divided(*targets, task="regression", leave_out=[2]), "test")[1] == {2}


def test_folds_of_two_parts_of_which_one_tells_no_groups_are_refused() -> None:
    for loaded in ((*speakers(90), part(36), part(9)), (part(90), *speakers(36, 9))):
        with pytest.raises(ConfigError, match="would divide groups, which one of the two does not tell"):
            divided(*loaded, fold=(1, 3))
    assert divided(part(90), part(36), *speakers(9), fold=(1, 3)).parts["val"].group is None


ONE_CLASS = torch.tensor([0] * 30 + [1] * 6)
SHARED = {"recording": torch.arange(36) // 4, "group": torch.arange(36) // 6}


@pytest.mark.parametrize(
    ("loaded", "numbers", "reason"),
    [
        (
            [part(30), part(9)],
            [0],
            "dataset.leave_out=0 leaves out a group, such as a subject or speaker, but the train",
        ),
        ([*speakers(30), part(9)], [0], "but the test part has none"),
        (speakers(30, 9), [3, 9], "dataset.leave_out=[3,9]: there is no group 9; the data set has 0, 1, 2, 3, 4, 5"),
        (speakers(90, 9, groups=30), [30], "there is no group 30; the data set has 30 groups from 0 to 29"),
        (
            speakers(30, 9),
            [0, 1, 2, 3, 4, 5],
            "these are all groups of the data set, and nothing would be left to train",
        ),
        (
            [part(36, y=ONE_CLASS, group=torch.arange(36) // 6), *speakers(9, groups=1)],
            [0, 5],
            "class 1 is in no other group, and would be missing in training",
        ),
        (
            [part(36, **SHARED), *speakers(9)],
            [0],
            "would divide recordings, which groups share: use dataset.leave_out=[0,1]",
        ),
    ],
)
def test_groups_that_cannot_be_left_out_are_refused(loaded: list[Samples], numbers: list[int], reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        divided(*loaded, protocol="last", leave_out=numbers)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("fold", "protocol"), [((1, 5), "last"), ((0, 5), "val_best"), ((6, 5), "val_best"), ((1, 1), "val_best")]
)
def test_a_fold_that_there_is_not_is_an_error_in_python(fold: tuple[int, int], protocol: str) -> None:
    with pytest.raises(ValueError, match="1 ≤ k ≤ n > 1, under val_best"):
        divided(part(60), part(6), protocol=protocol, fold=fold)


def test_a_data_set_without_a_test_part_always_gives_the_same_share_of_it() -> None:
    loaded = part(100, recording=torch.arange(100) // 2)
    first = divided(loaded, split_seed=1, validation=0.25)
    train, val, test = first.parts.values()
    assert sorted([*train.index.tolist(), *val.index.tolist(), *test.index.tolist()]) == list(range(100))
    assert (len(test), len(val), len(train)) == (20, 20, 60)
    assert not set(test.recording.tolist()) & {*train.recording.tolist(), *val.recording.tolist()}
    other = divided(loaded, split_seed=2)
    assert other.parts["test"].index.tolist() == test.index.tolist()
    assert other.parts["val"].index.tolist() != val.index.tolist()
    assert list(first.notes()) == ["the data set has no test part: 20% of its samples are one, always the same"]
    half = divided(loaded, protocol="last", test_share=0.5)
    assert (len(half.parts["test"]), len(half.parts["train"])) == (50, 50)
    assert len({each.split_hash for each in (divided(loaded), divided(loaded, test_share=0.5))}) == 2


def test_a_test_part_that_cannot_be_cut_is_not_called_a_validation_part() -> None:
    with pytest.raises(
        ConfigError, match=r"a test fraction of 0.01 of 10 samples is empty: use a larger dataset.test_sh"
    ):
        divided(part(10), test_share=0.01)
    line = "between training and test, but all 10 samples are of one, .*: give the data set a test part of its own$"
    with pytest.raises(ConfigError, match=line):
        divided(part(10, group=torch.zeros(10, dtype=torch.int64)))


def test_groups_are_left_out_of_a_data_set_without_a_test_part() -> None:
    loaded = part(100, group=torch.arange(100) // 4 % 5)
    division = divided(loaded, leave_out=[3])
    assert set(division.parts["test"].group.tolist()) == {3}
    assert list(division.notes()) == []
