"""Of an array on disk only what is being read counts as memory."""

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch

from membrane.data import mapped
from membrane.data.feed.part import Part
from membrane.data.mapped import MappedPages
from membrane.data.samples import Samples

MIB = 2**20


def resident(path: Path) -> int:
    """Bytes of a file that count as this process's memory."""
    kilobytes, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split(" ")[0].endswith(":"):
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return 1024 * kilobytes


@pytest.fixture
def array(tmp_path: Path) -> np.memmap:
    """48 entries of one MiB, each of its own number."""
    path = tmp_path / "x.npy"
    np.save(path, np.repeat(np.arange(48, dtype=np.uint8), MIB).reshape(48, 1, MIB))
    return np.load(path, mmap_mode="r")


def test_reading_all_of_a_file_keeps_little_of_it_in_memory(array, tmp_path, monkeypatch) -> None:
    # Linux maps whole folios, of 2 MiB at most: two for each entry, so 8 MiB for the two that are kept
    monkeypatch.setattr(mapped, "RESIDENT", 4 * MIB)
    part = Part.whole(Samples(array, torch.zeros(48)))
    for at in torch.randperm(48).split(2):
        assert part.gather(at)[:, 0, 0].tolist() == at.tolist()
        assert resident(tmp_path / "x.npy") <= 9 * MIB
    assert resident(tmp_path / "x.npy") > 0 or part.sources[0].pages.read == 0


def test_a_view_of_a_part_of_a_file_knows_where_it_lies(array) -> None:
    pages = MappedPages.of(array[16:32])
    assert (pages.row, pages.rows, pages.start) == (MIB, 16, 128 + 16 * MIB)
    assert MappedPages.of(np.moveaxis(array, 2, 1)).row == MIB


@pytest.mark.parametrize("form", ["in memory", "every second", "along another axis", "empty"])
def test_what_does_not_lie_in_one_piece_of_a_file_has_no_pages(array, form: str) -> None:
    other = {
        "in memory": np.array(array[:2]),
        "every second": array[::2],
        "along another axis": array[:, :, :9],
        "empty": array[:0],
    }
    assert MappedPages.of(other[form]) is None


def test_the_advice_covers_the_entries_and_stays_inside_the_file(array, monkeypatch) -> None:
    calls = []

    class File:
        def __len__(self) -> int:
            return 128 + 48 * MIB

        def madvise(self, *advice: int) -> None:
            calls.append(advice)

    pages = MappedPages(File(), 128, MIB, 48)
    pages.fetch(np.array([47, 0]))
    pages.count(2 * 256)
    assert calls == []  # 48 MiB may stay
    pages.read = 0
    monkeypatch.setattr(mapped, "RESIDENT", 3 * MIB)
    pages.fetch(np.array([47, 0]))
    pages.count(2)
    assert calls == [(mmap.MADV_WILLNEED, 47 * MIB, 128 + MIB), (mmap.MADV_WILLNEED, 0, 128 + MIB)]
    pages.count(1)
    pages.count(1)
    assert calls[2:] == [(mmap.MADV_DONTNEED, 0, 128 + 48 * MIB)]


def test_columns_change_without_a_copy_of_x(array) -> None:
    samples = Samples(array, torch.zeros(48))
    assert samples.with_columns(y=torch.ones(48)).pages is samples.pages
    assert samples.take(torch.arange(3)).pages is None
