"""The end of a metrics.csv says how far a training is."""

from pathlib import Path

import pytest

from membrane.runs.tail import Advance, read_advance

HEADER = "epoch,step,seconds,lr,train/loss,train/acc,val/loss,val/acc"


def training(epoch: int, step: int, seconds: float) -> str:
    return f"{epoch},{step},{seconds:.10g},0.001,0.5,0.9,,"


def closing(epoch: int, step: int, seconds: float) -> str:
    return f"{epoch},{step},{seconds:.10g},0.001,,,0.6,0.8"


def written(path: Path, *lines: str, torn: str = "") -> Path:
    path.write_bytes("".join(f"{line}\r\n" for line in (HEADER, *lines)).encode() + torn.encode())
    return path


def test_how_far_and_how_fast(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.csv", training(0, 10, 2), training(0, 20, 4), closing(0, 20, 5))
    progress = read_advance(path)
    assert progress == Advance(completed=1, seconds=5, done=1, gap=2)
    assert progress.left(4) == 15
    written(path, training(0, 20, 4), closing(0, 20, 5), training(1, 30, 7.5))
    progress = read_advance(path)
    assert progress == Advance(completed=1, seconds=7.5, done=1.5, gap=2.5)
    assert progress.left(4) == 12.5
    assert progress.left(1) == 0


def test_in_the_first_epoch_nothing_says_how_long_an_epoch_is(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.csv")
    assert read_advance(path) is None
    progress = read_advance(written(path, training(0, 7, 2)))
    assert progress == Advance(completed=0, seconds=2, done=None, gap=None)
    assert progress.left(3) is None


def test_a_torn_last_row_and_broken_ones_do_not_count(tmp_path: Path) -> None:
    whole = (training(0, 20, 4), closing(0, 20, 5))
    for torn in ("1", training(1, 40, 9), "\0" * 300, "1,40,"):
        assert read_advance(written(tmp_path / "metrics.csv", *whole, torn=torn)) == Advance(1, 5, 1, 1), torn
    broken = ("1,x,9,,1,1,,", "1,40,nan,,1,1,,", "1,40,9", "\0\0")
    assert read_advance(written(tmp_path / "metrics.csv", *whole, *broken)) == Advance(1, 5, 1, 1)


@pytest.mark.parametrize("block", [1, 64, 300, 1 << 16])
def test_however_little_is_read_at_once(tmp_path: Path, block: int) -> None:
    lines = [training(0, 1, 1), closing(0, 1000, 1000), *(training(1, 1000 + step, 1000 + step) for step in range(500))]
    path = written(tmp_path / "metrics.csv", *lines)
    progress = read_advance(path, block=block)
    assert progress is not None
    assert (progress.completed, progress.seconds, progress.done) == (1, 1499, pytest.approx(1.499))
    last = read_advance(path, paced=False, block=block)
    assert last is not None
    assert (last.completed, last.seconds) == (1, 1499)


def test_the_rest_of_a_row_that_began_before_the_block_does_not_count(tmp_path: Path) -> None:
    line = closing(12, 260, 50)
    path = written(tmp_path / "metrics.csv", training(12, 260, 49), line)
    progress = read_advance(path, paced=False, block=len(line) + 1)  # it begins behind the 1 of 12
    assert progress == Advance(completed=13, seconds=50, done=13, gap=1)


def test_a_file_that_is_no_metrics_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for content, why in (
        (b"", "no column epoch, step"),
        (b"epoch,step\n1,2\n", "no column seconds"),
        (b"\xff\0", "no"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=why):
            read_advance(path)
