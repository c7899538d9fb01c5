"""Single files as samples of a run's data set, beside what the data set's own reader makes of the same content."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from event_files import aedat2_bytes, evt2_bytes, nmnist_bytes, recording
from PIL import Image
from sound_files import tone, write_wav
from tests.real_data import real_data

from membrane.data.arrays import Arrays
from membrane.data.cifar import CIFAR10
from membrane.data.digits import Digits
from membrane.data.events.frames import frames
from membrane.data.file_samples import FileReader
from membrane.data.fsdd import FSDD
from membrane.data.gtsrb import GTSRB
from membrane.data.nmnist import NMNISTSubset
from membrane.data.saccades import DigitsEvents
from membrane.data.sound.features import SoundFeatures
from membrane.errors import DataError

RNG = np.random.default_rng(0)
SIGNALS = RNG.integers(0, 9, (4, 2, 6)).astype(np.float32)  # [n,C,S]


def reader(dataset: Any, shape: list[int], timesteps: int | None = None, scale: float | None = 1.0) -> FileReader:
    return FileReader(dataset, "mine", shape, timesteps, scale)


def own(timesteps: bool = False, **settings: Any) -> Arrays:
    return Arrays(path="trained_on.npz", timesteps_in_data=timesteps, **settings)


@pytest.mark.parametrize("form", ["last", "first", "one last", "one first", "npz", "of the test part", "only one"])
def test_arrays_are_read_in_every_layout_that_is_clear(form: str, tmp_path: Path) -> None:
    last = SIGNALS.transpose(0, 2, 1)
    single = {"last": last, "first": SIGNALS, "one last": last[0], "one first": SIGNALS[0]}
    several = {"npz": {"x": last, "y": np.zeros(4)}, "of the test part": {"x_test": last, "x_train": last[:1]}}
    several["only one"] = {"signals": last}
    if form in single:
        path = tmp_path / "a.npy"
        np.save(path, single[form])
    else:
        path = tmp_path / "a.npz"
        np.savez(path, **several[form])
    samples = reader(own(), [2, 6]).read(path)
    expected = SIGNALS[:1] if form.startswith("one") else SIGNALS
    assert torch.equal(samples.x, torch.from_numpy(expected))
    assert samples.lengths is None
    assert samples.recording.tolist() == list(range(len(expected)))


def test_grey_pictures_need_no_axis_of_channels_and_whole_numbers_are_scaled(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 17, (3, 8, 8), np.uint8)
    np.save(tmp_path / "whole.npy", pixels)
    np.save(tmp_path / "floats.npy", pixels / 16)
    for name in ("whole", "floats"):
        samples = reader(Digits(), [1, 8, 8], scale=1 / 16).read(tmp_path / f"{name}.npy")
        torch.testing.assert_close(samples.x, torch.from_numpy(pixels[:, None] / 16).float())
    np.save(tmp_path / "own.npy", pixels / 16)
    scaled = reader(own(scale=0.5), [1, 8, 8], scale=0.5).read(tmp_path / "own.npy")
    torch.testing.assert_close(scaled.x, torch.from_numpy(pixels[:, None] / 32).float())
    with pytest.raises(DataError, match="does not know the scale"):
        reader(own(), [1, 8, 8], scale=None).read(tmp_path / "whole.npy")


def test_sequences_are_filled_up_behind_their_lengths(tmp_path: Path) -> None:
    x = RNG.random((3, 4, 5, 2), np.float32)  # [n,T,S,C]
    np.savez(tmp_path / "a.npz", x=x, length=np.array([4, 2, 1]))
    samples = reader(own(timesteps=True), [2, 5], 6).read(tmp_path / "a.npz")
    assert samples.lengths is not None
    assert samples.lengths.tolist() == [4, 2, 1]
    np.testing.assert_array_equal(samples.x[:, :4], x.transpose(0, 1, 3, 2))
    assert not samples.x[:, 4:].any()
    np.savez(tmp_path / "b.npz", x=x)
    with pytest.raises(DataError, match=r"x is \[3, 4, 5, 2\], the run takes \[n,6,5,2\] or \[n,6,2,5\]"):
        reader(own(timesteps=True), [2, 5], 6).read(tmp_path / "b.npz")


def test_long_signals_are_cut_into_the_windows_of_the_run(tmp_path: Path) -> None:
    x = RNG.random((2, 10, 2), np.float32)
    np.save(tmp_path / "a.npy", x)
    samples = reader(own(window=4, stride=3), [2, 4]).read(tmp_path / "a.npy")
    assert samples.recording.tolist() == [0, 0, 0, 1, 1, 1]
    by_hand = [x[n, start : start + 4].T for n in range(2) for start in (0, 3, 6)]
    np.testing.assert_array_equal(samples.x, np.stack(by_hand))


@pytest.mark.parametrize("text", ["2,1,2,3\n0,4,5,6\n", "1,2,3\n4,5,6\n", "label;a;b;c\n2;1;2;3\n0;4;5;6\n"])
def test_series_are_read_with_labels_and_without(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    samples = reader(own(), [1, 3]).read(tmp_path / "a.csv")
    assert samples.x.tolist() == [[[1, 2, 3]], [[4, 5, 6]]]
    (tmp_path / "b.csv").write_text(text + "1,2,3,4,5\n".replace(",", ";" if ";" in text else ","))
    with pytest.raises(DataError, match=r"b.csv: line \d has a series of \d values, the run takes 3"):
        reader(own(), [1, 3]).read(tmp_path / "b.csv")


def test_series_of_channels_and_of_timesteps(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("@data\n1,2,3:4,5,6:up\n")
    assert reader(own(), [2, 3]).read(tmp_path / "a.ts").x.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    (tmp_path / "b.csv").write_text("up,1,2,3\ndown,4,5\n")
    samples = reader(own(timesteps=True), [1, 1], 4).read(tmp_path / "b.csv")
    assert samples.x.flatten(1).tolist() == [[1, 2, 3, 0], [4, 5, 0, 0]]
    assert samples.lengths is not None
    assert samples.lengths.tolist() == [3, 2]


def test_pictures_are_scaled_to_one_whatever_their_format(tmp_path: Path) -> None:
    grey = RNG.integers(0, 256, (8, 8), np.uint8)
    colour = RNG.integers(0, 256, (32, 32, 3), np.uint8)
    for suffix in ("png", "bmp"):
        Image.fromarray(grey).save(tmp_path / f"a.{suffix}")
        Image.fromarray(colour).save(tmp_path / f"b.{suffix}")
        x = reader(Digits(), [1, 8, 8], scale=1 / 16).read(tmp_path / f"a.{suffix}").x
        np.testing.assert_allclose(x, grey[None, None] / 255, rtol=1e-6)
        x = reader(CIFAR10(), [3, 32, 32], scale=1 / 255).read(tmp_path / f"b.{suffix}").x
        np.testing.assert_allclose(x, colour.transpose(2, 0, 1)[None] / 255, rtol=1e-6)
    x = reader(own(scale=1 / 255), [1, 8, 8], scale=1 / 255).read(tmp_path / "a.png").x
    np.testing.assert_allclose(x, grey[None, None] / 255, rtol=1e-6)
    assert reader(GTSRB(size=16), [3, 16, 16], scale=1 / 255).read(tmp_path / "b.png").x.shape == (1, 3, 16, 16)
    with pytest.raises(DataError, match=r"a sample is \[1, 8, 8\], the run takes \[1, 28, 28\]"):
        reader(Digits(), [1, 28, 28], scale=1.0).read(tmp_path / "a.png")
    with pytest.raises(DataError, match="no pictures in bytes"):
        reader(own(), [1, 8, 8]).read(tmp_path / "a.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="more than 8 bits a pixel"):
        reader(Digits(), [1, 8, 8]).read(tmp_path / "deep.png")


def test_events_of_any_format_are_framed_as_the_run_frames_them(tmp_path: Path) -> None:
    events = recording(400, 34, 34)
    expected = frames(events, 5, 34, 34, "number")
    contents = {"a.bs2": nmnist_bytes(events), "a.bin": nmnist_bytes(events), "a.raw": evt2_bytes(events)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        samples = reader(NMNISTSubset(split="number"), [2, 34, 34], 5).read(tmp_path / name)
        np.testing.assert_array_equal(samples.x[0], expected)
    small = recording(100, 30, 30)
    (tmp_path / "b.aedat").write_bytes(aedat2_bytes(small))
    samples = reader(DigitsEvents(size=30), [2, 30, 30], 3).read(tmp_path / "b.aedat")
    np.testing.assert_array_equal(samples.x[0], frames(small, 3, 30, 30, "time"))
    with pytest.raises(DataError, match="outside the sensor of 30×30 pixels"):
        reader(DigitsEvents(size=30), [2, 30, 30], 3).read(tmp_path / "a.bs2")


def test_all_samples_of_a_recording_are_one_answer(tmp_path: Path) -> None:
    (tmp_path / "a.bs2").write_bytes(nmnist_bytes(recording(400, 34, 34)))
    samples = reader(NMNISTSubset(samples="all", frames=6), [2, 34, 34], 2).read(tmp_path / "a.bs2")
    assert samples.x.shape == (3, 2, 2, 34, 34)
    assert samples.recording.tolist() == [0, 0, 0]


def test_sound_has_the_features_of_the_run(tmp_path: Path) -> None:
    dataset = FSDD(bands=12, window=40.0)
    sound = tone(3000)
    x = reader(dataset, dataset.shape).read(write_wav(tmp_path / "a.wav", sound)).x
    np.testing.assert_array_equal(x, SoundFeatures(dataset, 8000, 1)(sound)["x"])
    with pytest.raises(DataError, match="Hz: 16000, 8000 expected"):
        reader(dataset, dataset.shape).read(write_wav(tmp_path / "b.wav", sound, 16_000))


def test_files_of_real_data_sets_are_what_their_test_parts_hold() -> None:
    root = real_data("nmnist_subset", "fsdd/recordings")
    _, test = NMNISTSubset().load(root, 5)
    for number in (0, 41, 99):
        samples = reader(NMNISTSubset(), [2, 34, 34], 5).read(root / "nmnist_subset" / f"{60001 + number}.bs2")
        assert torch.equal(samples.x[0], test.x[number].float())
    dataset = FSDD(bands=24, window=40.0, decibels=40.0, stretch=32)
    _, test = dataset.load(root, 4)
    for number, name in ((0, "0_george_0"), (299, "9_yweweler_4")):
        samples = reader(dataset, dataset.shape).read(root / "fsdd" / "recordings" / f"{name}.wav")
        assert torch.equal(samples.x[0], test.x[number])


def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.npy")
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "a.txt").touch()
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.full((1, 6, 2), np.nan))
    np.savez(tmp_path / "names.npz", left=np.zeros(1), right=np.zeros(1))
    np.savez(tmp_path / "lengths.npz", x=SIGNALS, length=np.ones(4, int))
    for name, why in (
        ("missing.npy", "No such file"),
        ("fifo.npy", "is no file"),
        ("folder.npy", "is a folder: name the files in it"),
        ("a.txt", "a run on mine reads .png"),
        ("broken.npz", "cannot be read as .npz"),
        ("objects.npy", "Python objects, which are not read"),
        ("nan.npy", r"sample 0 has nan at \[0, 0\]"),
        ("names.npz", "has left, right; call the samples x"),
        ("lengths.npz", "the run's data has no timesteps"),
    ):
        with pytest.raises(DataError, match=rf"{name}: .*{why}"):
            reader(own(), [2, 6]).read(tmp_path / name)
