"""Samples of each form and feature, from sound shorter and longer than a sample."""

from typing import Any

import numpy as np
import pytest
from scipy.fft import dct
from sound_files import tone
from torch import from_numpy
from torch.nn.functional import interpolate
from torchaudio.transforms import MFCC

from membrane.data.fsdd import FSDD
from membrane.data.sound.crossings import threshold_crossings
from membrane.data.sound.features import SoundFeatures, binned
from membrane.data.sound.layout import SoundLayout
from membrane.data.sound.log_mel import LogMel
from membrane.data.speech_commands import SpeechCommands
from membrane.errors import ConfigError

SOUND = tone(2400)  # 0.3 s: 31 frames of 10 ms
LOUDNESS = LogMel(8000, 8, 25.0, 10.0, 80.0)(SOUND)


def sample(timesteps: int = 4, **settings: Any) -> dict[str, Any]:
    return SoundFeatures(SoundLayout(bands=8, **settings), 8000, timesteps)(SOUND)


def test_images_and_signals_are_cut_or_filled_with_silence() -> None:
    for seconds, frames in ((0.2, 20), (0.31, 31), (0.5, 50)):
        image, signal = (sample(form=form, seconds=seconds)["x"] for form in ("image", "signal"))
        kept = min(frames, 31)
        assert (image.shape, signal.shape) == ((1, 1, 8, frames), (1, 8, frames))
        assert np.array_equal(image[:, 0], signal)
        assert np.array_equal(signal[0, :, :kept], LOUDNESS[:kept].T)
        assert not signal[0, :, kept:].any()


@pytest.mark.parametrize("frames", [1, 20, 31, 50])
def test_recordings_are_stretched_as_by_torch(frames: int) -> None:
    ours = sample(stretch=frames, form="signal")["x"][0]
    theirs = interpolate(from_numpy(LOUDNESS.T.copy())[None], frames, mode="linear", align_corners=False)[0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)
    timed = sample(1, stretch=frames, form="timesteps")
    assert timed["lengths"].tolist() == [1]
    np.testing.assert_allclose(timed["x"][0, 0, 0], ours.mean(1), rtol=1e-5)


def test_cosine_coefficients_are_those_of_scipy_and_torchaudio() -> None:
    ours = sample(features="mfcc", form="signal", seconds=0.31, coefficients=5)["x"][0]
    np.testing.assert_allclose(ours, dct(LOUDNESS, norm="ortho")[:, :5].T, atol=1e-3)
    same = {"n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 8, "pad_mode": "constant"}
    theirs = MFCC(8000, 5, melkwargs=same)(from_numpy(SOUND / np.float32(2**15))).numpy()
    np.testing.assert_allclose(ours[1:], theirs[1:], atol=1e-3)  # the first tells how loud the recording is
    assert np.ptp(ours[0] - theirs[0]) < 1e-3


def test_centred_bands_have_no_mean_over_the_recording() -> None:
    centred = sample(center=True, form="signal", seconds=0.5)["x"][0]
    np.testing.assert_allclose(centred[:, :31], (LOUDNESS - LOUDNESS.mean(0)).T, atol=1e-4)
    assert not centred[:, 31:].any()


def test_spikes_have_two_channels_and_end_with_the_recording() -> None:
    spikes = threshold_crossings(LOUDNESS, 6.0)
    image = sample(features="spikes", seconds=0.5)["x"]
    assert image.shape == (1, 2, 8, 50)
    assert np.array_equal(image[0, :, :, :31], np.moveaxis(spikes, 0, -1))
    assert not image[..., 31:].any()
    assert np.array_equal(sample(features="spikes", form="signal", seconds=0.5)["x"], image.reshape(1, 16, 50))


@pytest.mark.parametrize("timesteps", [1, 3, 7, 50])
def test_frames_are_put_into_timesteps_by_time(timesteps: int) -> None:
    columns = sample(timesteps, form="timesteps", seconds=0.5)
    spikes = sample(timesteps, form="timesteps", seconds=0.5, features="spikes")
    bins: list[list[int]] = [[] for _ in range(timesteps)]
    for frame in range(31):
        bins[next(at for at in range(timesteps) if frame * timesteps < 50 * (at + 1))].append(frame)
    length = sum(bool(frames) for frames in bins)
    assert columns["lengths"].tolist() == spikes["lengths"].tolist() == [length]
    assert columns["x"].shape == (1, timesteps, 1, 8)
    assert spikes["x"].sum() == threshold_crossings(LOUDNESS, 6.0).sum()
    for at, frames in enumerate(bins):
        mean = LOUDNESS[frames].mean(0) if frames else np.zeros(8)
        np.testing.assert_allclose(columns["x"][0, at, 0], mean, rtol=1e-5)
        assert np.array_equal(spikes["x"][0, at], threshold_crossings(LOUDNESS, 6.0)[frames].sum(0))


def test_as_many_timesteps_as_frames_are_the_frames() -> None:
    assert np.array_equal(binned(LOUDNESS, 31, 31, total=False), LOUDNESS)
    assert sample(20, form="timesteps", seconds=0.2)["lengths"].tolist() == [20]


def test_more_timesteps_than_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"timesteps=51, but a sample has 50 frames"):
        sample(51, form="timesteps", seconds=0.5)


@pytest.mark.parametrize("dataset", [FSDD, SpeechCommands])
def test_settings_that_cannot_work_are_refused_before_the_data_are_looked_for(dataset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("membrane.data.store.sources.download", pytest.fail)
    with pytest.raises(ConfigError, match="bands=200 are narrower than what a window=25 ms can tell apart"):
        dataset(bands=200).load(tmp_path, 4)
    with pytest.raises(ConfigError, match="timesteps=101, but a sample has 100 frames"):
        dataset(form="timesteps").load(tmp_path, 101)
