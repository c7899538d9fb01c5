"""Recordings are converted in order, wherever that is done."""

import os
from pathlib import Path

import numpy as np
import pytest

from membrane.data.store import conversion
from membrane.data.store.conversion import converted
from membrane.errors import DataError


def squares(number: int) -> dict[str, np.ndarray]:
    """Two samples for each recording, and the process that made them."""
    return {"x": np.full((2, 3), number**2), "y": np.full(2, number % 2), "group": np.full(2, os.getpid())}


def die(number: int) -> dict[str, np.ndarray]:
    if number == 3:
        os._exit(1)
    return squares(number)


def refuse(number: int) -> dict[str, np.ndarray]:
    if number == 3:
        raise DataError("recording 3: byte 7 is wrong")
    return squares(number)


@pytest.fixture(params=["one process", "several"])
def files(request, tmp_path: Path, monkeypatch) -> list[Path]:
    """A source file, and whether it is large enough for several processes."""
    monkeypatch.setattr(conversion, "PARALLEL", 10 if request.param == "several" else 11)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    (tmp_path / "source").write_bytes(bytes(10))
    return [tmp_path / "source"]


def test_recordings_come_in_order_with_their_numbers(files) -> None:
    columns = list(converted(range(70), squares, files, "squares"))
    assert [each["x"][0, 0] for each in columns] == [n**2 for n in range(70)]
    assert [each["recording"].tolist() for each in columns] == [[n, n] for n in range(70)]
    elsewhere = {each["group"][0] for each in columns} != {os.getpid()}
    assert elsewhere == (conversion.PARALLEL == 10)


def test_a_damaged_recording_is_told_of_as_it_is(files) -> None:
    with pytest.raises(DataError, match="recording 3: byte 7 is wrong"):
        list(converted(range(5), refuse, files, "refuse"))


def test_a_process_that_is_killed_is_told_of(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(conversion, "PARALLEL", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with pytest.raises(DataError, match="was killed"):
        list(converted(range(5), die, [], "die"))
