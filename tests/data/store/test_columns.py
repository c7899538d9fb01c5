"""A column that grows on disk holds what was appended, in the smallest type of counts."""

from contextlib import suppress
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


INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@st.composite
def integer_rows(draw: st.DrawFn) -> np.ndarray:
    """Rows of any integer type, from its whole range."""
    limits = np.iinfo(dtype := draw(st.sampled_from(INTEGERS)))
    return np.array(draw(st.lists(st.integers(int(limits.min), int(limits.max)), max_size=4)), dtype=dtype)


@given(st.lists(integer_rows(), min_size=1, max_size=5))
def test_mixed_integer_types_come_back_exactly_or_are_refused(tmp_path_factory, pieces: list[np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("column") / "x"
    column = GrowingColumn(path)
    values = [value for piece in pieces for value in piece.tolist()]
    with suppress(ValueError):
        for piece in pieces:
            column.append(piece)
        back = opened(path, column.close(), mapped=False)
        assert back.tolist() == values
        assert back.dtype.kind in "iu"
        return
    column.close()
    assert max(values) > np.iinfo(np.uint32).max
    assert min(values) < 0


def test_numbers_that_no_integer_type_holds_are_refused(tmp_path: Path) -> None:
    column = GrowingColumn(tmp_path / "x")
    column.append(np.uint64([2**63]))
    with pytest.raises(ValueError, match="rows are int8, those before uint64, and no integer type holds both"):
        column.append(np.int8([-1]))
    column.close()


@pytest.mark.parametrize(
    ("pieces", "dtype"),
    [
        ([np.int8([1, 127]), np.int8([-128])], "int8"),  # one type, as the pieces of a compressed array have
        ([np.int8([-1]), np.int8([5])], "int8"),
        ([np.int8([5]), np.int8([127])], "uint8"),  # counts, whatever held them
        ([np.int16([300]), np.int16([400])], "uint16"),
        ([np.int16([300]), np.int16([-1])], "int16"),
        ([np.int32([70_000]), np.int32([-1]), np.int32([2**31 - 1])], "int32"),
        ([np.uint8([200]), np.int8([-1])], "int16"),
        ([np.uint16([200]), np.int8([-1])], "int16"),
        ([np.uint64([7]), np.int64([-1])], "int64"),
        ([np.uint64([2**40]), np.uint8([1])], "uint64"),
    ],
)
def test_negative_numbers_keep_the_one_type_that_they_come_in_and_counts_need_none(
    tmp_path: Path, pieces: list, dtype: str
) -> None:
    column = GrowingColumn(tmp_path / "x")
    for piece in pieces:
        column.append(piece)
    back = opened(tmp_path / "x", column.close(), mapped=True)
    assert back.dtype == dtype
    assert back.tolist() == [value for piece in pieces for value in piece.tolist()]


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
