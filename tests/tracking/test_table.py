"""metrics.csv: columns once, rows for ever."""

from pathlib import Path

import pytest

from membrane.tracking.table import MetricsTable, rows


def test_rows_have_cells_only_where_they_have_values(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch", "train/loss", "val/acc"])
    table.append({"epoch": 0, "train/loss": 0.5})
    table.append({"epoch": 0, "val/acc": 0.875})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,train/loss,val/acc", "0,0.5,", "0,,0.875"]
    assert rows(tmp_path / "metrics.csv") == [{"epoch": 0, "train/loss": 0.5}, {"epoch": 0, "val/acc": 0.875}]


def test_a_name_without_a_column_and_a_second_beginning_are_refused(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["epoch"])
    with pytest.raises(ValueError, match="no column val/acc"):
        table.append({"epoch": 1, "val/acc": 0.5})
    with pytest.raises(FileExistsError):
        MetricsTable(tmp_path / "metrics.csv", ["epoch"])


def test_numbers_survive_to_ten_digits(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["lr"])
    table.append({"lr": 1 / 3})
    assert rows(tmp_path / "metrics.csv")[0]["lr"] == pytest.approx(1 / 3, abs=1e-10)
