"""Values in one another, too deep for Python to take their hash: told from the opcodes of a pickle."""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from membrane.errors import DataError
from membrane.training.checkpoints import read_checkpoint, write_checkpoint
from membrane.training.pickle_depth import deepest_value, require_shallow_pickle

DEEP = 200_000
KEY = b"}" + b")" + b"\x85" * DEEP + b"K\x01s"
"""A dict whose key is () in 200,000 tuples. Reading it ended the process with SIGSEGV."""


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("wrap", [lambda value: (value,), lambda value: [value], lambda value: {"a": value}])
def test_the_depth_is_that_of_the_value(wrap: Callable[[Any], Any], protocol: int) -> None:
    assert deepest_value(pickle.dumps(1, protocol)) <= 1
    at_ten, at_thirty = (deepest_value(pickle.dumps(nested(depth, wrap), protocol)) for depth in (10, 30))
    assert 10 <= at_ten <= 12
    assert at_thirty - at_ten == 20


def test_long_lists_and_values_in_several_places_are_not_deep() -> None:
    shared = (1, 2)
    content = {"list": [shared] * 5000, "ordered": OrderedDict((str(n), [n]) for n in range(5000)), "set": {shared}}
    assert deepest_value(pickle.dumps(content, 2)) < 12
    require_shallow_pickle(pickle.dumps(content, 2))


def test_what_is_too_deep_or_no_pickle_is_refused() -> None:
    for content in (
        b"\x80\x02" + KEY + b".",
        b"\x80\x02" + b"]" * DEEP + b"a" * (DEEP - 1) + b".",
        b"\x80\x02" + b"u" * 5000,
    ):
        with pytest.raises(ValueError, match=r"nested more than 1000 levels deep|opcodes"):
            require_shallow_pickle(content)


def test_a_checkpoint_with_a_key_that_would_end_the_process_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "good.ckpt"
    write_checkpoint({"membrane": {}, "state_dict": {"a": torch.ones(2)}}, path)
    assert read_checkpoint(path)["state_dict"]["a"].tolist() == [1, 1]
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "evil.ckpt", "w") as evil:
        for member in good.infolist():
            is_structure = member.filename.endswith("data.pkl")
            evil.writestr(member.filename, b"\x80\x02" + KEY + b"." if is_structure else good.read(member))
    with pytest.raises(DataError, match=r"evil\.ckpt: .* \(nested more than 1000 levels deep\)$"):
        read_checkpoint(tmp_path / "evil.ckpt")
