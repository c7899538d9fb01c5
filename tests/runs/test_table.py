"""metrics.csv: columns once, rows for ever."""

from pathlib import Path

import pytest

from membrane.errors import DataError
from membrane.runs.table import MetricsTable, read_rows, require_whole


def test_rows_have_cells_only_where_they_have_values(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch", "train/loss", "val/acc"])
    table.create()
    table.append({"epoch": 0, "train/loss": 0.5})
    table.append({"epoch": 0, "val/acc": 0.875})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,train/loss,val/acc", "0,0.5,", "0,,0.875"]
    assert read_rows(tmp_path / "metrics.csv") == [{"epoch": 0, "train/loss": 0.5}, {"epoch": 0, "val/acc": 0.875}]


def test_a_name_without_a_column_and_a_second_beginning_are_refused(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch"])
    table.create()
    with pytest.raises(ValueError, match="no column val/acc"):
        table.append({"epoch": 1, "val/acc": 0.5})
    with pytest.raises(FileExistsError):
        MetricsTable(tmp_path / "metrics.csv", ["epoch"]).create()


def test_another_name_of_the_table_does_not_change(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch"])
    table.create()
    length = table.flush()
    table.append({"epoch": 0})
    (tmp_path / "copy.csv").hardlink_to(tmp_path / "metrics.csv")
    with pytest.raises(OSError, match="hard link"):
        table.append({"epoch": 1})
    table.cut(length)
    table.append({"epoch": 7})
    assert read_rows(tmp_path / "copy.csv") == [{"epoch": 0}]
    assert read_rows(tmp_path / "metrics.csv") == [{"epoch": 7}]


def test_a_table_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("epoch\r\n0\r\n")
    (tmp_path / "metrics.csv").symlink_to("victim")
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch"])
    for write in (table.create, lambda: table.cut(0), lambda: table.append({"epoch": 1}), table.flush):
        with pytest.raises(OSError, match="a link"):
            write()
    assert (tmp_path / "victim").read_bytes() == b"epoch\r\n0\r\n"


def test_going_on_cuts_what_came_later_and_refuses_another_table(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch", "lr"])
    table.create()
    table.append({"epoch": 0, "lr": 0.5})
    length = table.flush()
    assert length == len("epoch,lr\r\n0,0.5\r\n")
    table.append({"epoch": 1})
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2,0.")  # torn
    table.cut(length)
    table.append({"epoch": 1, "lr": 0.25})
    assert read_rows(tmp_path / "metrics.csv") == [{"epoch": 0, "lr": 0.5}, {"epoch": 1, "lr": 0.25}]
    with pytest.raises(DataError, match="shorter than its checkpoint says"):
        table.cut(1000)
    with pytest.raises(DataError, match="its columns are not this version's"):
        MetricsTable(tmp_path / "metrics.csv", ["epoch"]).cut(length)
    with pytest.raises(DataError, match="missing, though there is a checkpoint"):
        MetricsTable(tmp_path / "other.csv", ["epoch"]).cut(length)


def test_a_table_of_an_earlier_version_goes_on_without_the_columns_that_are_newer(tmp_path: Path) -> None:
    earlier = MetricsTable(tmp_path / "metrics.csv", ["epoch", "val/acc", "rate/a"])
    earlier.create()
    length = earlier.flush()
    columns = ["epoch", "val/acc", "val/recall", "rate/a"]
    now = MetricsTable(tmp_path / "metrics.csv", columns)
    with pytest.raises(DataError, match="its columns are not this version's"):
        now.cut(length)
    with pytest.raises(DataError, match="its columns are not this version's"):
        MetricsTable(tmp_path / "metrics.csv", [*columns, "rate/b"]).cut(length, newer=["val/acc", "val/recall"])
    now.cut(length, newer=["val/acc", "val/recall"])
    assert now.columns == ["epoch", "val/acc", "rate/a"]
    now.append({"epoch": 0, "val/acc": 0.5, "val/recall": 0.25, "rate/a": 0.125})
    assert read_rows(tmp_path / "metrics.csv") == [{"epoch": 0, "val/acc": 0.5, "rate/a": 0.125}]


def test_numbers_survive_to_ten_digits(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["lr"])
    table.create()
    table.append({"lr": 1 / 3})
    assert read_rows(tmp_path / "metrics.csv")[0]["lr"] == pytest.approx(1 / 3, abs=1e-10)


def test_a_table_begins_after_the_rows_of_an_earlier_part_with_the_same_columns(tmp_path: Path) -> None:
    path = tmp_path / "health.csv"
    table = MetricsTable(path, ["epoch", "step", "a"])
    table.begin_after(5)
    for step in (2, 4, 6):
        table.append({"epoch": 0, "step": step, "a": step / 7})
    before = path.read_text().splitlines()
    table.begin_after(4)
    assert path.read_text().splitlines() == before[:3]
    MetricsTable(path, ["epoch", "step", "b"]).begin_after(4)
    assert path.read_text() == "epoch,step,b\n" or path.read_text() == "epoch,step,b\r\n"
    table.begin_after(0)
    assert read_rows(path) == []


def test_a_table_that_is_cut_short_or_holds_other_things_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    content = "epoch,step,val/acc\r\n0,4,\r\n0,8,0.5\r\n"
    path.write_bytes(content.encode() + b"1,1")  # what was written after the checkpoint does not count
    require_whole(path, len(content))
    for damaged in (content[:-1], content.replace("0.5", "0x5"), content.replace(",\r", "\r"), "x" * len(content)):
        path.write_bytes(damaged.encode())
        with pytest.raises(DataError, match=r"metrics\.csv: damaged \("):
            require_whole(path, len(content))
    path.write_bytes(b"\xff" * len(content))
    with pytest.raises(DataError, match="damaged"):
        require_whole(path, len(content))
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        require_whole(path, len(content))
