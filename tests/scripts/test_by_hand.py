"""The scripts of scripts/by_hand read the original files, and say which one is missing before they train."""

import gzip
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

recipe = import_module("recipe")  # of scripts/by_hand


def test_images_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    images = np.arange(2 * 28 * 28, dtype=np.uint16).astype(np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([7, 3])))
    x, y = recipe.read_part(tmp_path, train=False).tensors
    assert np.array_equal(x.numpy(), images.reshape(2, 28, 28) / np.float32(255))
    assert y.tolist() == [7, 3]


def test_a_missing_file_is_named_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    options = recipe.argument_parser(None, 1).parse_args(
        ["--data", str(tmp_path), "--out", str(tmp_path / "new" / "x.json")]
    )
    with pytest.raises(SystemExit) as caught:
        recipe.train(None, options, "mnist", "torch")
    file = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    assert str(caught.value) == f"--data: {file} is missing; `membrane data mnist paths.data={tmp_path}` fetches it"
