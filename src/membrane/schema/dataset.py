"""Data sets: their facts, known before anything is read, and how they are split."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from membrane.errors import ConfigError
from membrane.schema.node import LATER, UNSHAPING, Count, Node, Positive

VALIDATION_SHARE = 0.15
TEST_SHARE = 0.2


class Dataset(Node):
    """The facts of a data set; ``shape`` is that of one sample, or of one frame: [C,S] or [C,H,W].

    ``task`` says what a sample's y is: one of so many ``classes``, or, in regression, so many real numbers (there
    ``classes`` is the number of the model's outputs, and y is float [N,classes]). ``validation`` is the share of the
    training data that validates under ``val_best``, unless the data set has a validation part of its own.

    ``fold``, as 2/5, lets the second of five folds validate instead, cut from all that is not test. ``leave_out`` names
    the groups (subjects, speakers), by number, that are the test part instead of the official one. ``test_share``
    of the samples, always the same, are the test part of a data set that has none.

    ``way_to_timesteps`` says what to use instead of data without timesteps.
    """

    way_to_timesteps: ClassVar[str] = "event data"

    name: str = Field(description="of the data set, in results and tables")
    shape: list[PositiveInt] = Field(
        min_length=2, max_length=3, description="of a sample, or of a frame: [C,S] or [C,H,W]"
    )
    classes: PositiveInt = Field(description="their number, or in a regression that of the targets")
    task: Literal["classification", "regression"] = Field(default="classification", description="what a sample's y is")
    timesteps_in_data: bool = Field(default=False, description="whether a sample has T frames, for the tid frameworks")
    split_seed: Count = Field(default=0, description="draws the validation part; all seeds of an experiment share it")
    validation: float = LATER(
        default=VALIDATION_SHARE, gt=0, lt=1, description="share of the training part that validates under val_best"
    )
    fold: str | None = LATER(default=None, description="as 2/5: the second of five folds validates in place of a share")
    leave_out: list[int] | None = LATER(
        default=None, description="numbers of groups (subjects, speakers) that are the test part"
    )
    test_share: float = LATER(
        default=TEST_SHARE, gt=0, lt=1, description="share that is the test part of a data set that has none"
    )

    @field_validator("fold", mode="before")
    @classmethod
    def fold_is_one_of_several(cls, value: Any) -> Any:
        """Reject anything but k/n with 1 ≤ k ≤ n and n ≥ 2."""
        if value is None:
            return value
        if not isinstance(value, str) or not re.fullmatch("[1-9][0-9]{0,8}/[1-9][0-9]{0,8}", value, re.ASCII):
            raise ValueError(f"expected the number of a fold, from 1, and how many there are, as 2/5, got {value!r}")
        number, count = map(int, value.split("/"))
        if count < 2:
            raise ValueError(f"{value}: two folds at least are needed, as 1/5; protocol=last has no validation")
        if number > count:
            raise ValueError(f"{value}: there is no fold {number} of {count}, the last one is {count}/{count}")
        return value

    @field_validator("leave_out", mode="before")
    @classmethod
    def leave_out_is_a_set_of_groups(cls, value: Any) -> Any:
        """Turn a number into a list of one, and sort a list without repeating numbers. Reject what names no group."""
        return group_numbers(value)

    @property
    def fold_number(self) -> tuple[int, int] | None:
        """Return (k, n) of ``fold``, None where there are no folds."""
        if self.fold is None:
            return None
        number, count = map(int, self.fold.split("/"))
        return number, count

    @property
    def most_timesteps(self) -> int | None:
        """The number of frames that can be put into timesteps; None where they are cut as finely as one likes."""
        return None

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, without the facts that describe it and the split."""
        return {key: value for key, value in super().parameters().items() if key not in Dataset.model_fields}


def group_numbers(value: Any) -> list[int] | None:
    """Return the numbers that ``leave_out`` names, in order, each once; None if it is null. Raises ConfigError."""
    if value is None:
        return value
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(type(number) is int for number in numbers):
        raise ConfigError(f"expected the number of a group, as 3, or a list of several, as [0,3], got {value!r}")
    return sorted(set(numbers))


def trained_on_test_part(dataset: Dataset, former: Mapping[str, Any]) -> str:
    """Return why weights know samples of a data set's test part; empty if they do not.

    They do if they were trained on the same data set, of which ``former`` is the node, without leaving out all groups
    that are the test part now, or with another official partition.
    """
    if not same_data(dataset, former):
        return ""
    left_out, now = group_numbers(former.get("leave_out")), dataset.leave_out
    if left_out != now and (left_out is None or now is None or not set(now) <= set(left_out)):
        typed, before = ("null" if each is None else str(each).replace(" ", "") for each in (now, left_out))
        return seen_line("leave_out", typed, before)
    partition = getattr(dataset, "partition", None)
    if now is None and former.get("partition", partition) != partition:
        return seen_line("partition", partition, former["partition"])
    return ""


def trained_on_test_share(dataset: Dataset, former: Mapping[str, Any]) -> str:
    """Return as `trained_on_test_part` of a data set that has no test part of its own, but a share as one."""
    if not same_data(dataset, former) or dataset.leave_out is not None:
        return ""
    for name, default in (("test_share", TEST_SHARE), ("window", None), ("stride", None)):
        now, before = getattr(dataset, name, None), former.get(name, default)
        if now != before:
            return seen_line(name, *("null" if each is None else each for each in (now, before)))
    return ""


def same_data(dataset: Dataset, former: Mapping[str, Any]) -> bool:
    """Return whether a node of a saved configuration reads the same data set."""
    return former.get("_target_") == dataset.target and former.get("path") == getattr(dataset, "path", None)


def seen_line(name: str, now: Any, before: Any) -> str:
    """Return the line on a setting of the data set under which weights know samples of the test part."""
    return f"dataset.{name}={now} tests on samples that the weights were trained on, with dataset.{name}={before}"


class Digits(Dataset):
    choice = "digits"
    public = "membrane.data.digits.Digits"


class MNIST(Dataset):
    choice = "mnist"
    public = "membrane.data.idx.MNIST"


class FashionMNIST(Dataset):
    choice = "fashion_mnist"
    public = "membrane.data.idx.FashionMNIST"


class Diabetes(Dataset):
    choice = "diabetes"
    public = "membrane.data.diabetes.Diabetes"


class UCIHAR(Dataset):
    choice = "uci_har"
    public = "membrane.data.uci_har.UCIHAR"


class Arrays(Dataset):
    """Your own arrays; ``shape``, ``classes``, ``scale``, T and ``sha256`` are read from the file where none is set.

    ``window`` steps of a signal or a sequence are a sample, one every ``stride`` steps (as many as the window has).
    """

    choice = "arrays"
    public = "membrane.data.arrays.Arrays"
    way_to_timesteps = "dataset.timesteps_in_data=true"
    shape: list[PositiveInt] = Field(default=[], max_length=3)
    classes: Count = 0
    path: str = UNSHAPING()
    scale: Positive = 1.0
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="of the files; read from them")
    window: PositiveInt | None = LATER(default=None)
    stride: PositiveInt | None = LATER(default=None)

    @model_validator(mode="after")
    def stride_is_between_windows(self) -> Self:
        """Reject a stride without windows."""
        if self.stride is not None and self.window is None:
            raise ValueError(f"stride={self.stride} is from one window to the next: add window=STEPS")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments; it takes two of the facts too, and not the digest."""
        own = {key: value for key, value in super().parameters().items() if key != "sha256"}
        return {**own, "timesteps_in_data": self.timesteps_in_data, "task": self.task}


DATASETS = (MNIST, FashionMNIST, Diabetes, UCIHAR, Arrays)
"""Those of this module but the bundled digits, which come first of all."""
