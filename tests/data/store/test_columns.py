"""A column that grows on disk holds what was appended, in the smallest type of counts."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.store.columns import GrowingColumn, opened


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=0, max_size=4), min_size=1, max_size=5))
def test_counts_come_back_in_the_smallest_type_that_holds_them(tmp_path_factory, pieces: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("column") / "x"
    column = GrowingColumn(path)
    for piece in pieces:
        column.append(np.array(piece, dtype=np.int64))
    form = column.close()
    values = [value for piece in pieces for value in piece]
    back = opened(path, form, mapped=False)
    assert back.tolist() == opened(path, form, mapped=True).tolist() == values
    top = max(values, default=0)
    assert back.dtype == (np.uint8 if top < 256 else np.uint16 if top < 65536 else np.uint32)
    assert [each.name for each in path.parent.iterdir()] == ["x"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16"])
def test_other_values_keep_their_type(tmp_path: Path, dtype: str) -> None:
    column = GrowingColumn(tmp_path / "x")
    rows = np.array([[1, -2], [3, 4]], dtype=dtype)
    column.append(rows)
    column.append(rows[::-1].T)
    back = opened(tmp_path / "x", column.close(), mapped=True)
    assert back.dtype == dtype
    assert back.tolist() == [[1, -2], [3, 4], [3, 1], [4, -2]]


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    column = GrowingColumn(tmp_path / "x")
    column.append(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"rows are \[2\], those before \[3\]"):
        column.append(np.zeros((2, 2)))
    column.close()


def test_a_file_of_another_size_is_no_column(tmp_path: Path) -> None:
    column = GrowingColumn(tmp_path / "x")
    column.append(np.arange(5))
    form = column.close()
    (tmp_path / "x").write_bytes(bytes(4))
    with pytest.raises(ValueError, match="x has 4 bytes, not 5"):
        opened(tmp_path / "x", form, mapped=True)
