"""What a data set hands over is refused before training where it is wrong, with part, sample and value in one line."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import check_each
from small_data import T, module, part, put

from membrane.data.samples import Samples
from membrane.errors import ConfigError, DataError


def refusal(parts: Any, **changes: Any) -> str:
    """The line that refuses them."""
    with pytest.raises((ConfigError, DataError)) as refused:
        module(parts, **{"shape": [1, 3], "classes": 2, **changes}).setup()
    assert "\n" not in str(refused.value)
    return str(refused.value)


X, Y, N = torch.rand(9, 1, 3), torch.arange(9) % 2, torch.arange(9)
RETURNS = "load must return (train, test), (train, validation, test) or (train,) membrane.data.samples.Samples"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"x": [1, 2]}, "x is a list, must be a tensor or an array of numbers: torch.as_tensor(x)"),
    ({"x": None}, "x is None, must be a tensor"),
    ({"y": None}, "y is None, must be a tensor"),
    (
        {"x": np.full((9, 1, 3), np.datetime64("2020"))},
        "x is an array of datetime64[Y], must be a tensor or an array of numbers: x.astype('float32')",
    ),
    ({"x": np.full((9, 1, 3), None)}, "x is an array of object"),
    ({"x": np.ma.masked_array(np.zeros((9, 1, 3)), mask=True)}, "x is a MaskedArray"),
    ({"x": X.to(torch.complex64)}, "x is complex64 [9, 1, 3], must be floating point, whole numbers or bool"),
    ({"x": np.zeros((9, 1, 3), np.complex128)}, "x is complex128 [9, 1, 3]"),
    ({"x": X.to_sparse()}, "x is not a dense tensor, but torch.sparse_coo: x.to_dense()"),
    ({"x": torch.tensor(1.0)}, "test samples are [], the configuration says [1, 3]"),
    (
        {"x": torch.rand(9, 3, 1)},
        "samples are [3, 1], the configuration says [1, 3]: membrane.data.channels_first(x, time",
    ),
    ({"x": torch.rand(9, 2, 3)}, "test samples are [2, 3], the configuration says [1, 3]"),
    ({"x": X[:0], "y": Y[:0], "recording": N[:0]}, "the test part is empty, it needs a sample at least"),
    ({"y": Y[:7]}, "x has 9 samples, y has 7: sample 7 has no y"),
    ({"x": X[:7]}, "x has 7 samples, y has 9: sample 7 has no x"),
    ({"recording": N[:8]}, "x has 9 samples, recording has 8: sample 8 has no recording"),
    ({"recording": torch.tensor(3)}, "recording is a single number, must have one entry a sample [9]"),
    ({"recording": N.float()}, "recording is float32 [9], must be whole numbers [9]"),
    ({"recording": N[:, None]}, "recording is int64 [9, 1], must be whole numbers [9]"),
    ({"group": N[:3]}, "x has 9 samples, group has 3: sample 3 has no group"),
    ({"group": ["anna"] * 9}, "group is a list, must be a tensor or an array of numbers"),
    (
        {"group": np.array(["anna"] * 9)},
        "must be a tensor or an array of numbers: numpy.unique(those of all parts together, return_inverse=True)[1]",
    ),
    (
        {"lengths": N + 1},
        "lengths count timesteps, which the data has not: framework=multistep_tid dataset.timesteps_in_data=true",
    ),
    ({"scale": float("nan")}, "scale is nan, must be finite and above 0"),
    ({"scale": 0.0}, "scale is 0.0, must be finite and above 0"),
    ({"scale": -1.0}, "scale is -1.0, must be finite and above 0"),
    ({"scale": 1e-60}, "scale is 1e-60, must be finite and above 0, in float32 too"),
    ({"scale": "1"}, "scale is a str, must be a number above 0"),
    ({"scale": 0.5}, "x is floating point with scale 0.5, in the training part floating point with scale 1: they must"),
    ({"x": torch.ones(9, 1, 3, dtype=torch.uint8)}, "x is whole numbers with scale 1, in the training part floating"),
    ({"classes": ["cat"]}, "classes has 1 names, the configuration says 2"),
    ({"classes": [0, 1]}, "classes must be 2 names, as ['cat', 'dog'], not [0, 1]"),
    ({"classes": "ab"}, "classes must be 2 names"),
    ({"y": Y.float()}, "test labels are float32 [9], classification needs whole numbers [9]"),
    ({"y": Y.bool()}, "test labels are bool [9], classification needs whole numbers [9]"),
    ({"y": Y[:, None]}, "test labels are int64 [9, 1], classification needs whole numbers [9]"),
    ({"y": put(Y, (4,), -1)}, "labels reach -1, the configuration says 2 classes: sample 4 has -1, must be 0…1"),
    ({"y": put(Y, (3,), 2)}, "labels reach 2, the configuration says 2 classes: sample 3 has 2, must be 0…1"),
    (
        {"y": put(put(Y, (3,), 7), (5,), -9)},
        "labels reach -9 and 7, the configuration says 2 classes: sample 5 has -9, sa",
    ),
    ({"x": put(X, (5, 0, 2), torch.nan)}, "test part: sample 5 has nan in x at [0, 2], must be finite"),
    ({"x": put(X, (8, 0, 1), -torch.inf)}, "test part: sample 8 has -inf in x at [0, 1], must be finite"),
    ({"x": put(X, (2, 0, 0), torch.nan).half()}, "test part: sample 2 has nan in x at [0, 0], must be finite"),
    (
        {"x": put(X.double(), (2, 0, 0), 1e300)},
        "sample 2 has 1e+300 in x at [0, 0], times scale 1 must be finite in floa",
    ),
]


def test_each_wrong_part_is_refused_with_what_would_be_right() -> None:
    def check(case: tuple[dict[str, Any], str]) -> None:
        changes, line = case
        said = refusal((part(12), part(9, **changes)))
        assert line in said
        assert "test" in said

    check_each(WRONG, check)


def test_what_is_no_pair_of_parts_is_named() -> None:
    ready, pairs = part(5), (part(5).x, part(5).y)
    check_each(
        [
            (None, f"{RETURNS}, not None"),
            (ready, f"{RETURNS}, not a Samples"),
            ((), f"{RETURNS}, it returned 0 parts"),
            ((ready,) * 4, f"{RETURNS}, it returned 4 parts"),
            ((ready, pairs), f"{RETURNS}, the test part is a tuple"),
            ((ready, "x", ready), f"{RETURNS}, the validation part is a str"),
        ],
        lambda case: check_equal(refusal(case[0]), case[1]),
    )


def test_a_data_set_without_load_is_named() -> None:
    data = module((), [1, 3], 2)
    data.dataset = object()  # type: ignore[assignment]
    with pytest.raises(DataError, match=r"a data set has a method load\(root, timesteps\), which an object has not"):
        data.setup()


def check_equal(one: object, other: object) -> None:
    assert one == other


def check_in(one: str, other: str) -> None:
    assert one in other


def test_targets_of_a_regression() -> None:
    right = part(9, y=torch.rand(9, 2))
    cases: list[tuple[Any, str]] = [
        (torch.arange(9), "test targets are int64 [9], the configuration says float [9, 2]"),
        (torch.rand(9), "test targets are float32 [9], the configuration says float [9, 2]"),
        (torch.rand(9, 3), "test targets are float32 [9, 3], the configuration says float [9, 2]"),
        (put(right.y, (6, 1), torch.inf), "test part: sample 6 has inf in y at [1], must be finite"),
        (
            put(right.y.double(), (6, 1), 1e200),
            "sample 6 has 1e+200 in y at [1], times scale 1 must be finite in float32",
        ),
    ]
    check_each(cases, lambda case: check_in(case[1], refusal((right, part(9, y=case[0])), task="regression")))


def test_lengths_and_timesteps() -> None:
    def timed(**changes: Any) -> Samples:
        return part(9, **{"x": torch.rand(9, T, 1, 3), **changes})

    cases = [
        ({"lengths": put(N % T + 1, (4,), 0)}, "test part: sample 4 has length 0, must be 1…4 timesteps"),
        ({"lengths": put(N % T + 1, (7,), 5)}, "test part: sample 7 has length 5, must be 1…4 timesteps"),
        ({"lengths": torch.ones(9)}, "test part: lengths is float32 [9], must be whole numbers [9]"),
        ({"lengths": N[:2] + 1}, "test part: x has 9 samples, lengths has 2: sample 2 has no lengths"),
        (
            {"x": torch.rand(9, 7, 1, 3)},
            "[4, 1, 3]: load(root, timesteps) was asked for 4 timesteps; timesteps=7 takes them all",
        ),
        ({"x": torch.rand(9, T, 3, 1)}, "membrane.data.channels_first(x, timesteps=True)"),
    ]
    check_each(cases, lambda case: check_in(case[1], refusal((timed(), timed(**case[0])), timed=True)))


def test_parts_that_name_their_classes_in_another_order_are_refused() -> None:
    """Labels of one part would mean other classes than those of the other."""
    training, test = part(8, classes=["cat", "dog"]), part(8, classes=["dog", "cat"])
    line = "test part: class 0 is 'dog', in the training part 'cat': labels and names must be in one order"
    assert refusal((training, test)) == line
    assert refusal((training, training, test)) == line
    for named in (training, part(8)):
        module((training, named), [1, 3], 2).setup()
        module((named, training), [1, 3], 2).setup()
