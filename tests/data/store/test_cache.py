"""The cache: what is converted once is the same ever after, and anything else is converted anew."""

import errno
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from membrane.data.samples import Samples
from membrane.data.store import location
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns
from membrane.data.store.entries import remove_caches
from membrane.data.store.location import writable_cache
from membrane.errors import DataError
from membrane.files import capped
from membrane.files.regular import open_regular


class Numbers:
    """Two parts of recordings of one or two samples [2], read from a file; counts its conversions."""

    def __init__(self, root: Path, value: float = 1) -> None:
        self.root, self.value, self.conversions = root, value, 0
        self.source = root / "numbers.txt"

    def recordings(self, first: int) -> Iterator[Columns]:
        self.conversions += 1
        self.source.read_text()
        for n in range(first, first + 3):
            x = np.full((1 + n % 2, 2), self.value * n)
            yield {"x": x, "y": np.full(len(x), n), "recording": np.full(len(x), n), "group": np.full(len(x), 7)}

    def load(self, **parameters: Any) -> tuple[Samples, ...]:
        parts = {"train": lambda: self.recordings(0), "test": lambda: self.recordings(3)}
        return load_cached(self.root, "numbers", parameters, [self.source], parts, scale=0.5, classes="abcdef")


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    (tmp_path / "numbers.txt").write_text("a")
    return Numbers(tmp_path)


def entries(root: Path) -> list[Path]:
    return [path.parent for path in (root / ".cache").rglob("manifest.json")]


def test_a_second_start_converts_nothing_and_opens_no_source(numbers, monkeypatch) -> None:
    first = numbers.load(t=3)
    opened: list[str] = []
    open_file = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: opened.append(path.name) or open_file(path, *how, **more)
    )
    monkeypatch.setattr(
        capped, "open_regular", lambda path, flags: opened.append(Path(path).name) or open_regular(path, flags)
    )
    again = numbers.load(t=3)
    assert set(opened) == {"sources.json", "manifest.json"}
    assert numbers.conversions == 2
    for part, n in zip(again, (0, 3), strict=True):
        rows = [i for i in range(n, n + 3) for _ in range(1 + i % 2)]
        assert part.x.tolist() == [[i, i] for i in rows]
        assert (part.y.tolist(), part.recording.tolist(), part.group.tolist()) == (rows, rows, [7] * len(rows))
        assert (part.scale, part.classes, part.x.dtype) == (0.5, "abcdef", torch.uint8)
        assert part.pages is not None
    assert [part.digest() for part in first] == [part.digest() for part in again]


def test_the_stored_digest_is_that_of_the_data(numbers) -> None:
    for part in numbers.load():
        copy = Samples(part.x.clone(), part.y, part.recording, group=part.group, scale=part.scale)
        assert copy.stored_digest is None
        assert copy.digest() == part.stored_digest


def test_a_changed_parameter_or_source_never_reads_an_old_entry(numbers) -> None:
    numbers.load(t=3)
    numbers.load(t=4)
    assert numbers.conversions == 4
    numbers.source.write_text("another")
    numbers.load(t=3)
    assert numbers.conversions == 6
    assert len(entries(numbers.root)) == 3


@pytest.mark.parametrize("damage", ["short", "missing", "manifest", "format"])
def test_a_damaged_entry_is_built_anew_with_a_line(numbers, caplog, damage: str) -> None:
    numbers.load()
    (entry,) = entries(numbers.root)
    if damage == "short":
        os.truncate(entry / "train.x", 7)
    elif damage == "missing":
        (entry / "test.y").unlink()
    elif damage == "manifest":
        (entry / "manifest.json").write_text("{")
    else:
        (entry / "manifest.json").write_text(json.dumps({"format": 0, "parts": {}}))
    with caplog.at_level(logging.INFO):
        train, _ = numbers.load()
    assert "is damaged and will be built anew" in caplog.text
    assert train.y.tolist() == [0, 1, 1, 2]
    assert numbers.conversions == 4


def test_the_persons_own_files_stay_in_an_entry_that_is_built_anew(numbers) -> None:
    numbers.load()
    [entry] = [path.parent for path in (numbers.root / ".cache").rglob("manifest.json")]
    (entry / "notes.md").write_text("mine")
    (entry / "manifest.json").write_text("{")
    numbers.load()
    assert (entry / "notes.md").read_text() == "mine"
    assert json.loads((entry / "manifest.json").read_text())["parts"]


@pytest.mark.parametrize("error", [DataError("byte 3 is wrong"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_nothing(numbers, error: BaseException) -> None:
    def broken() -> Iterator[Columns]:
        yield from numbers.recordings(0)
        raise error

    with pytest.raises(type(error)):
        load_cached(numbers.root, "numbers", {}, [numbers.source], {"train": broken})
    left = [path.name for path in (numbers.root / ".cache" / "numbers").iterdir()]
    assert [name for name in left if not name.endswith((".lock", "sources.json"))] == []


def test_a_value_that_is_not_finite_is_refused_before_it_is_cached(numbers) -> None:
    numbers.value = float("nan")
    with pytest.raises(DataError, match=r"train part: sample 0 has nan in x at \[0\], must be finite"):
        numbers.load()
    assert entries(numbers.root) == []


def test_what_a_killed_process_left_is_removed(numbers) -> None:
    numbers.load()
    (entry,) = entries(numbers.root)
    left = entry.parent / f".{entry.name}.left"
    left.mkdir()
    (entry / "train.x").unlink()
    numbers.load()
    assert not left.exists()


def slow_load(root: Path, started: Any, results: Any) -> None:
    numbers = Numbers(root)
    convert = numbers.recordings

    def slowly(first: int) -> Iterator[Columns]:
        started.set()
        for columns in convert(first):
            time.sleep(0.05)
            yield columns

    numbers.recordings = slowly  # type: ignore[method-assign]
    results.put((numbers.load()[0].y.tolist(), numbers.conversions))


def test_of_two_that_start_at_once_one_converts(numbers) -> None:
    context = multiprocessing.get_context("fork")
    started, results = context.Event(), context.Queue()
    other = context.Process(target=slow_load, args=(numbers.root, started, results))
    other.start()
    assert started.wait(60)
    train, _ = numbers.load()
    assert train.y.tolist() == [0, 1, 1, 2]
    assert results.get(timeout=60) == ([0, 1, 1, 2], 2)
    other.join()
    assert numbers.conversions == 0


def test_data_that_cannot_be_written_are_cached_in_the_own_folder(numbers, tmp_path_factory, monkeypatch) -> None:
    own = tmp_path_factory.mktemp("own")
    monkeypatch.setattr(location, "own_cache", lambda: own)
    (numbers.root / ".cache").write_text("a file in the way")
    folder = writable_cache(numbers.root)
    assert folder is not None
    assert folder.parent == own
    numbers.load()
    numbers.load()
    assert numbers.conversions == 2
    assert remove_caches(numbers.root) > 0
    assert list(own.rglob("*.x")) == []


@pytest.fixture
def unwritable(numbers: Numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No cache can be written; the folder of temporary files."""
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    (tmp_path / "own").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_without_any_cache_the_arrays_are_temporary(numbers, unwritable, caplog) -> None:
    kept = [part.digest() for part in numbers.load(t=3)]
    remove_caches(numbers.root)
    (numbers.root / ".cache").write_text("in the way")
    with caplog.at_level(logging.INFO):
        train, test = numbers.load(t=3)
    (line,) = caplog.messages
    assert line.startswith("cache: cannot be written; converting numbers (1 files) to ")
    assert line.endswith(", for this start alone")
    assert list(unwritable.iterdir()) == []
    assert train.pages is not None
    assert (train.x.tolist(), train.y.tolist()) == ([[0, 0], [1, 1], [1, 1], [2, 2]], [0, 1, 1, 2])
    assert test.gather(torch.tensor([1, 0])).tolist() == [[3, 3], [3, 3]]
    assert [train.digest(), test.digest()] == kept
    numbers.load(t=3)
    assert numbers.conversions == 6


def test_what_breaks_off_leaves_nothing_temporary(numbers, unwritable) -> None:
    (numbers.root / ".cache").write_text("in the way")

    def broken() -> Iterator[Columns]:
        yield from numbers.recordings(0)
        raise DataError("byte 3 is wrong")

    with pytest.raises(DataError, match="byte 3"):
        load_cached(numbers.root, "numbers", {}, [numbers.source], {"train": broken})
    assert list(unwritable.iterdir()) == []


def test_without_any_folder_at_all_it_says_so(numbers, unwritable) -> None:
    (numbers.root / ".cache").write_text("in the way")
    unwritable.rmdir()
    with pytest.raises(DataError, match=rf"no folder for converted data can be written: none of .* and {unwritable}$"):
        numbers.load()


@pytest.mark.parametrize("temporary", [False, True])
def test_a_full_disk_is_one_line_and_leaves_nothing(numbers, unwritable, temporary: bool, monkeypatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if temporary:
        (numbers.root / ".cache").write_text("in the way")
    monkeypatch.setattr("membrane.data.store.columns.GrowingColumn.append", full)
    with pytest.raises(DataError, match=r"no room for converted data \(No space left on device\); nothing was kept"):
        numbers.load()
    assert list(unwritable.iterdir()) == []
    assert temporary or list(numbers.root.rglob("*.x")) == []


def test_a_cache_that_came_with_read_only_data_is_read(numbers, tmp_path_factory, monkeypatch) -> None:
    numbers.load(t=3)
    numbers.root.chmod(0o555)
    own = tmp_path_factory.mktemp("own")
    monkeypatch.setattr(location, "own_cache", lambda: own)
    try:
        assert writable_cache(numbers.root) != numbers.root / ".cache"
        numbers.load(t=3)
        assert numbers.conversions == 2
        assert list(own.rglob("*.x")) == []
        (entry,) = entries(numbers.root)
        os.truncate(entry / "train.x", 7)
        numbers.load(t=3)
        assert numbers.conversions == 4
        assert len(list(own.rglob("*.x"))) == 2
    finally:
        numbers.root.chmod(0o755)


def test_caches_can_be_removed_at_any_time(numbers) -> None:
    train, _ = numbers.load()
    assert remove_caches(numbers.root) > 0
    assert entries(numbers.root) == []
    assert train.x.tolist() == [[0, 0], [1, 1], [1, 1], [2, 2]]
    numbers.load()
    assert numbers.conversions == 4


def test_a_part_without_recordings_is_refused(numbers) -> None:
    with pytest.raises(DataError, match="the train part has no recordings"):
        load_cached(numbers.root, "numbers", {}, [numbers.source], {"train": lambda: iter(())})


def test_another_error_of_the_disk_is_not_called_a_full_one(numbers, monkeypatch) -> None:
    def broken(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("membrane.data.store.columns.GrowingColumn.append", broken)
    with pytest.raises(OSError, match="Input/output error"):
        numbers.load()
