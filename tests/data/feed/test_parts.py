"""What a data set may hand over, two parts or three, and how it is divided."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import T, module, part

from membrane.data.diabetes import Diabetes
from membrane.data.digits import Digits
from membrane.data.feed.division import Division
from membrane.data.feed.groups import indivisible
from membrane.data.feed.module import DataModule
from membrane.data.feed.part import Part
from membrane.data.samples import Samples
from membrane.errors import ConfigError


def test_arrays_are_taken_as_the_tensors_that_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(36, dtype=np.float64).reshape(12, 1, 3))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    y = np.arange(12) % 2
    for x in (mapped, mapped.astype(">f4"), mapped[::-1][::-1], mapped.transpose(0, 2, 1).copy().transpose(0, 2, 1)):
        arrays = Samples(x, y, None, group=np.ones(12, np.int8), scale=np.float32(1))
        [batch] = module((arrays, arrays), [1, 3], 2, batch_size=12).batches("test")
        assert batch.x.dtype == torch.float32
        assert batch.x.flatten().tolist() == list(range(36))
        assert (batch.y.dtype, batch.y.tolist()) == (torch.int64, y.tolist())
        assert batch.recording.tolist() == list(range(12))
    as_tensors = Samples(torch.from_numpy(mapped.copy()), torch.from_numpy(y))
    assert Samples(mapped, y).digest() == as_tensors.digest()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.uint16, torch.int32, torch.float16, torch.bfloat16])
def test_any_real_type_of_x_trains_as_float32_times_the_scale(dtype: torch.dtype) -> None:
    x = (torch.arange(24).reshape(8, 1, 3) % 2).to(dtype)
    data = module((part(8, x=x, scale=0.5), part(8, x=x, scale=0.5)), [1, 3], 2)
    [batch] = data.batches("train")
    assert torch.equal(batch.x, x.float() * 0.5)
    assert batch.x.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.uint64])
def test_labels_of_any_whole_type_train(dtype: torch.dtype) -> None:
    data = module((part(8, y=(torch.arange(8) % 2).to(dtype)),) * 2, [1, 3], 2)
    [batch] = data.batches("test")
    assert (batch.y.dtype, batch.y.tolist()) == (torch.int64, [0, 1] * 4)


def test_targets_of_any_floating_type_train_as_float32() -> None:
    data = module((part(8, y=torch.rand(8, 2, dtype=torch.float64)),) * 2, [1, 3], 2, task="regression")
    assert next(iter(data.batches("test"))).y.dtype == torch.float32


def test_lengths_go_into_the_batches_in_the_order_of_their_samples() -> None:
    lengths = torch.arange(9) % T + 1
    timed = part(9, x=torch.arange(9.0).reshape(9, 1, 1, 1).expand(9, T, 1, 3), lengths=lengths)
    for workers in (0, 2):
        data = module((timed, timed), [1, 3], 2, timed=True, batch_size=4, workers=workers)
        for batch in data.batches("train", training=True):
            assert batch.lengths is not None
            assert batch.lengths.tolist() == lengths[batch.x[:, 0, 0, 0].long()].tolist()
            assert batch.lengths.untyped_storage().nbytes() == batch.lengths.nbytes or not workers


# three parts


def three(**changes: Any) -> DataModule:
    """Parts of 20, 8 and 5 samples; x holds the part's number."""
    sizes = (20, 8, 5)
    return module(tuple(part(n, x=torch.full((n, 1, 3), k)) for k, n in enumerate(sizes)), [1, 3], 2, **changes)


def numbers(data: DataModule, name: str) -> list[int]:
    return [int(x) for batch in data.batches(name) for x in batch.x[:, 0, 0]]


def test_an_official_validation_part_validates_and_trains_where_nothing_does() -> None:
    data = three(protocol="val_best")
    assert [numbers(data, name) for name in ("train", "val", "test")] == [[0] * 20, [1] * 8, [2] * 5]
    assert [part.index.tolist() for part in data.parts.values()] == [[*range(20)], [*range(20, 28)], [*range(5)]]
    for protocol in ("last", "paper_best_on_test"):
        whole = three(protocol=protocol)
        whole.setup()
        assert numbers(whole, "train") == [0] * 20 + [1] * 8
        assert len(whole.parts["val"]) == 0
        assert len(whole.parts["train"].recording.unique()) == 28
        assert whole.data_hash == data.data_hash
        assert whole.split_hash != data.split_hash
    again = three(protocol="val_best", split_seed=1)
    again.setup()
    assert again.split_hash == data.split_hash


def test_official_parts_of_which_one_has_lengths() -> None:
    x = torch.rand(4, T, 1, 3)
    lengths = torch.tensor([1, 2, 3, 4])
    parts = (part(4, x=x), part(4, x=x, lengths=lengths), part(4, x=x))
    data = module(parts, [1, 3], 2, timed=True)
    [batch] = data.batches("train")
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [T] * 4 + lengths.tolist()


# recordings, groups and warnings


@given(n=st.integers(20, 80), recordings=st.integers(6, 40), groups=st.integers(0, 12), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_no_recording_and_no_group_trains_and_validates(n: int, recordings: int, groups: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    recording, group = chance.integers(recordings, size=n), chance.integers(max(groups, 1), size=n)
    whole = Samples(np.zeros((n, 1, 3)), np.zeros(n, int), recording, group=group if groups else None)
    data = module((whole, whole), [1, 3], 2, protocol="val_best", validation=0.3)
    together = indivisible(*(each for each in (whole.recording, whole.group) if each is not None))
    if together is not None and len(together.unique()) == 1:
        with pytest.raises(ConfigError, match="recordings and groups are not divided"):
            data.setup()
        return
    data.setup()
    train, val, _ = data.parts.values()
    assert set(train.recording.tolist()).isdisjoint(val.recording.tolist())
    assert len(train) + len(val) == n
    if train.group is not None and val.group is not None:
        assert set(train.group.tolist()).isdisjoint(val.group.tolist())


def test_the_hashes_of_bundled_data_never_change() -> None:
    """Each of their samples is its own recording, so that they are divided as ever."""
    data = module((), [1, 8, 8], 10, protocol="val_best")
    data.dataset = Digits()
    data.setup()
    assert data.split_hash == "d5154998eb7e08cb19a489a0db01cb10f919b99ba46dbf0fee525eb4b2175ddb"
    assert data.data_hash == "b33b792db391a0f33c09c8e64b2ffac6e72168b5bc726e8b40fed3ccf1fe5722"
    data = module((), [1, 10], 1, protocol="val_best", task="regression")
    data.dataset = Diabetes()
    data.setup()
    assert data.split_hash == "d040f2c3edfb5d21e7918eaef7c01bc742a2609c00826f5cbaa84ad1d43e8614"
    assert data.data_hash == "554c4cc372ff7b32b656f8763a0bb17a7114a0e69ba834b18467e1bdac3ad67f"


def test_the_hash_of_the_split_tells_whether_recordings_were_kept_whole() -> None:
    def split_hash(recording: torch.Tensor | None) -> str:
        data = module((part(60, recording=recording), part(6)), [1, 3], 2, protocol="val_best")
        data.setup()
        return data.split_hash

    assert split_hash(torch.randperm(60)) == split_hash(None) != split_hash(torch.arange(60) // 3)


def test_the_share_of_validation_is_a_setting() -> None:
    data = module((part(200), part(6)), [1, 3], 2, protocol="val_best", validation=0.4)
    data.setup()
    assert len(data.parts["val"]) == 80
    assert list(data.division.warnings()) == []


def test_warnings_of_a_small_validation_part_of_its_share_and_of_shared_groups() -> None:
    def lines(*parts: Samples, **changes: Any) -> list[str]:
        data = module(parts, [1, 3], 2, **{"protocol": "val_best", **changes})
        data.setup()
        return list(data.division.warnings())

    few = "only 9 validation samples choose the best epoch, largely by chance: "
    last = "sweep=folds validates on each sample once, protocol=last trains on all and chooses none"
    assert lines(part(60), part(6)) == [f"{few}dataset.validation above 0.15 takes a larger share, {last}"]
    assert lines(part(60), part(9), part(6)) == [few + last]
    assert lines(part(300), part(60), part(6), validation=0.3) == [
        "dataset.validation=0.3 has no effect: the data set has a validation part of its own"
    ]
    no_effect = "dataset.test_share=0.3 has no effect: the data set has a test part of its own"
    assert lines(part(600), part(6), test_share=0.3) == [no_effect]
    assert lines(part(600), test_share=0.3) == []
    assert lines(part(60), part(6), protocol="last") == []
    assert lines(part(60), part(6), overfit=1) == []
    assert lines(part(334), part(6)) == []
    reason = "recordings and groups are not divided, and classes keep samples for training"
    halves = part(200, recording=torch.arange(200) // 100)
    assert lines(halves, part(6)) == [f"50% of the training samples validate, not 15%: {reason}"]
    unseen = "dataset.leave_out=NUMBER tests on a group that is not"
    speakers = [part(n, group=torch.arange(n) % 7) for n in (400, 60, 5)]
    assert lines(*speakers) == [
        "7 of the validation part's groups are in the data set's training part too",
        f"5 of the test part's groups are in the data set's training part too; {unseen}",
    ]


@pytest.mark.parametrize(("validating", "warned"), [(198, True), (199, False), (401, False), (402, True)])
def test_a_share_of_validation_may_miss_by_a_third_and_one_sample(validating: int, warned: bool) -> None:
    """Of 1200 samples a quarter is 300, and 300 / 3 + 1 = 101."""
    division = Division([part(1200), part(6)], protocol="val_best", task="classification", validation=0.25)
    parts = {"train": part(1200 - validating), "val": part(validating), "test": part(6)}
    division.parts = {name: Part.whole(samples) for name, samples in parts.items()}
    percent = round(100 * validating / 1200)
    assert [line.partition(":")[0] for line in division.warnings()] == [
        f"{percent}% of the training samples validate, not 25%"
    ] * warned
