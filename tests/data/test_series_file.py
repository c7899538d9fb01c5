"""Series in text files: every row a series, labels numbered in their order, mistakes named by their line."""

from pathlib import Path

import numpy as np
import pytest

from membrane.data.array_names import array_facts, source_files
from membrane.data.arrays import Arrays
from membrane.data.series_file import series_arrays
from membrane.errors import DataError

PLAIN = "2,0.5,1,-1e-3\n10,1,2,3\n2,4,5,6\n"
FORMS = {
    "a.csv": PLAIN,
    "b.csv": "Label;t0;t1;t2\n2;0.5;1;-1e-3\n\n10;1;2;3\n2;4;5;6\n",
    "c.tsv": PLAIN.replace(",", "\t"),
    "d.csv": 't0,t1,"class",t2\n0.5,1,2,-1e-3\n1,2,10,3\n4,5,2,6\n',
    "e.ts": "# comment\n@timeStamps false\n@classLabel true 2 10\n@data\n0.5,1,-1e-3:2\n1,2,3:10\n4,5,6:2\n",
}
VALUES = [[0.5, 1, -1e-3], [1, 2, 3], [4, 5, 6]]


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("name", FORMS)
def test_all_forms_hold_the_same_series(tmp_path, name: str) -> None:
    path = write(tmp_path, name, FORMS[name])
    arrays = series_arrays(path, timesteps_in_data=False, task="classification")
    assert arrays.keys() == {"x_train", "y_train", "classes"}
    np.testing.assert_array_equal(arrays["x_train"].values(), np.array(VALUES, np.float32)[:, :, None])
    assert arrays["y_train"].values().tolist() == [0, 1, 0]
    assert arrays["classes"].values().tolist() == ["2", "10"]
    expected = {"shape": [1, 3], "scale": 1.0, "classes": 2}
    assert array_facts(path, timesteps_in_data=False, task="classification") == expected


def test_the_test_part_lies_beside(tmp_path) -> None:
    path = write(tmp_path, "Gun_TRAIN.ts", "@data\n1,2:7,8:b\n3,4:9,9:a\n")
    test = write(tmp_path, "Gun_TEST.ts", "@data\n5,6:0,0:c\n")
    train, tested = Arrays(path=str(path)).load(tmp_path, 4)
    assert train.x.tolist() == [[[1, 2], [7, 8]], [[3, 4], [9, 9]]]
    assert tested.x.tolist() == [[[5, 6], [0, 0]]]
    assert (train.y.tolist(), tested.y.tolist(), train.classes) == ([1, 0], [2], ["a", "b", "c"])
    assert source_files(path) == [path, test]


def test_values_as_timesteps_may_differ_in_number(tmp_path) -> None:
    path = write(tmp_path, "x_train.csv", "a,1,2,3\nb,4\n")
    write(tmp_path, "x_test.csv", "b,5,6\n")
    train, test = Arrays(path=str(path), timesteps_in_data=True).load(tmp_path, 3)
    assert train.x.tolist() == [[[[1]], [[2]], [[3]]], [[[4]], [[0]], [[0]]]]
    assert (train.lengths.tolist(), test.lengths.tolist()) == ([3, 1], [2])
    facts = array_facts(path, timesteps_in_data=True, task="classification")
    assert facts == {"shape": [1, 1], "scale": 1.0, "classes": 2, "timesteps": 3}


def test_a_part_of_series_of_the_full_length_has_lengths_if_another_has(tmp_path) -> None:
    path = write(tmp_path, "x_train.csv", "a,1,2,3\nb,4\n")
    write(tmp_path, "x_test.csv", "b,5,6,7\na,1,1,1\n")
    train, test = Arrays(path=str(path), timesteps_in_data=True).load(tmp_path, 3)
    assert (train.lengths.tolist(), test.lengths.tolist()) == ([3, 1], [3, 3])


def test_labels_of_a_regression_are_targets(tmp_path) -> None:
    path = write(tmp_path, "x.csv", "0.25,1,2\n-3,3,4\n")
    (train,) = Arrays(path=str(path), task="regression").load(tmp_path, 4)
    assert train.y.tolist() == [[0.25], [-3]]
    assert array_facts(path, timesteps_in_data=False, task="regression")["classes"] == 1


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("x.csv", "1,2,3\n2,4,x\n", "x.csv: line 2: 'x' is not a number$"),
        ("x.csv", "1,2,3\n2,,4\n", "x.csv: line 2: '' is not a number; missing values are not filled in"),
        ("x.csv", "1,2,inf\n", "line 1: 'inf' is not a number"),
        ("x.ts", "@data\n1,?:a\n", r"x.ts: line 2: '\?' is not a number; missing"),
        (
            "x.csv",
            "1,2,3\n\n2,4\n",
            "x.csv: line 3 has 1 values, others 2: series of unequal length need",
        ),
        ("x.csv", "1\n", "x.csv: line 1 has 1 fields: a label and the values of a series expected"),
        ("x.csv", "", "x.csv: has no series"),
        ("x.csv", "label,t0,t1\n", "x.csv: has no series"),
        ("x.csv", ",t0,t1,y\n0,1,2,a\n", r"x.csv: column 1, '', numbers the lines .* as to_csv\(index=False\) does"),
        ("x.csv", "y,t0,ID\na,2,7\n", "x.csv: column 3, 'id', numbers the lines"),
        ("x.csv", "group,t0,t1,y\n0,1,2,a\n", "'group', is no value of a series: save a .npz with group_train"),
        ("x.csv", "0.5,1,2\n", "line 1 has '0.5' for a label: labels are first, or .*; dataset.task=regression is for"),
        ("x.csv", "1,2,3\n,0,1\n", "line 2 has '' for a label: labels are first, or in a column that a header names"),
        ("x.csv", "".join(f"{n},0,1\n" for n in range(11)), "x.csv: no two lines have the same label: labels are"),
        ("x.ts", "1,2:a\n", "x.ts: has no line @data"),
        ("x.ts", "@data\n1,2\n", "x.ts: line 2 has no label"),
        ("x.ts", "@timestamps true\n@data\n(0,1):a\n", "x.ts: has timestamps, which are not read"),
        ("x.ts", "@data\n1,2:3,4:a\n1,2:b\n", "x.ts: line 3 has not 2 channels of one length"),
        ("x.ts", "@data\n1,2:3,4:a\n1,2:3:b\n", "x.ts: line 3 has not 2 channels of one length"),
    ],
)
def test_mistakes_are_named_by_their_line(tmp_path, name: str, text: str, line: str) -> None:
    with pytest.raises(DataError, match=line):
        series_arrays(write(tmp_path, name, text), timesteps_in_data=False, task="classification")


def test_labels_may_be_whole_numbers_in_any_form_and_fractions_in_a_ts(tmp_path) -> None:
    read = series_arrays(write(tmp_path, "x.csv", "1.0,1\n2e0,2\n"), timesteps_in_data=False, task="classification")
    assert read["classes"].array.tolist() == ["1.0", "2e0"]
    read = series_arrays(write(tmp_path, "x.ts", "@data\n1:0.5\n"), timesteps_in_data=False, task="classification")
    assert read["classes"].array.tolist() == ["0.5"]


def test_what_is_no_text_is_named(tmp_path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"x\.csv: cannot be read"):
        series_arrays(tmp_path / "x.csv", timesteps_in_data=False, task="classification")


def test_a_target_that_is_no_number_is_named(tmp_path) -> None:
    path = write(tmp_path, "x.csv", "1,2,3\nhigh,3,4\n")
    with pytest.raises(DataError, match="line 2: 'high' is not a number"):
        series_arrays(path, timesteps_in_data=False, task="regression")


def test_a_text_file_that_is_too_large_is_not_read(tmp_path) -> None:
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(2**30 + 1)  # a file of holes
    with pytest.raises(DataError, match=r"a.csv: has more than 1 GiB of text: save a .npz"):
        series_arrays(tmp_path / "a.csv", timesteps_in_data=False, task="classification")


def test_an_array_of_a_text_file_is_one_piece(tmp_path) -> None:
    arrays = series_arrays(write(tmp_path, "a.csv", PLAIN), timesteps_in_data=False, task="classification")
    assert [piece.tolist() for piece in arrays["y_train"].pieces()] == [[0, 1, 0]]
