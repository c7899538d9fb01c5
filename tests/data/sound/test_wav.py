"""WAV files of the standard library, and such as it does not write."""

import os
import re
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from cases import check_each
from scipy.io import wavfile
from sound_files import tone, write_wav
from tests.real_data import real_data
from wav_mutants import SAMPLE, wav_mutant, wav_outcome

from membrane.data.sound import wav
from membrane.data.sound.wav import decode_wav, read_wav
from membrane.errors import DataError

PATH = Path("some.wav")


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)


def form(encoding: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, more: bytes = b"") -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", encoding, channels, rate, rate * frame, frame, bits) + more)


def riff(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def test_samples_are_those_that_were_written(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32767, -32768, 300], np.int16)
    read = read_wav(write_wav(tmp_path / "a.wav", samples), 8000)
    assert (read.dtype, read.tolist()) == (np.dtype(np.int16), samples.tolist())


def test_other_chunks_odd_sizes_and_the_extensible_format_are_read() -> None:
    sound = np.array([5, -6], "<i2").tobytes()
    extended = struct.pack("<HHIH14s", 22, 16, 4, 1, b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")
    for content in (
        riff(chunk(b"LIST", b"odd"), form(), chunk(b"fact", b"1234"), chunk(b"data", sound), chunk(b"data", b"no")),
        riff(form(0xFFFE, more=extended), chunk(b"data", sound)) + b"behind",
    ):
        assert decode_wav(PATH, content, 8000).tolist() == [5, -6]


def test_headers_that_lie_are_refused_at_their_byte() -> None:
    sound = chunk(b"data", bytes(4))

    def check_header(case: tuple[bytes, str]) -> None:
        content, line = case
        with pytest.raises(DataError, match=f"^some.wav: byte {re.escape(line)}"):
            decode_wav(PATH, content, 8000)

    check_each(
        [
            (b"", "0: no WAV file: begins with b''"),
            (b"RIFX" + bytes(40), "0: no WAV file"),
            (riff(form(rate=16000), sound), "24: Hz: 16000, 8000 expected"),
            (riff(form(channels=2), sound), "22: channels: 2, 1 expected"),
            (riff(form(bits=8), sound), "34: bits a sample: 8, 16 expected"),
            (riff(form(encoding=3, bits=32), sound), "20: encoding: 3, 1 expected"),
            (riff(form(encoding=0xFFFE), sound), "20: encoding: 65534, 1 expected"),
            (riff(chunk(b"fmt ", bytes(14)), sound), "20: a fmt chunk of 14 bytes, 16 expected"),
            (riff(form(), chunk(b"data", bytes(4), 0xFFFFFFFF)), "40: a chunk b'data' of 4294967295 bytes"),
            (riff(form(), sound)[:-1], "40: a chunk b'data' of 4 bytes by its header, 3 follow"),
            (riff(form(), chunk(b"data", b"")), "44: 0 bytes of sound"),
            (riff(form(), chunk(b"data", bytes(3))), "44: 3 bytes of sound, samples of 2 bytes expected"),
            (riff(form()), "36: the file ends without its data chunk"),
            (riff(sound), "24: the file ends without its fmt chunk"),
            (riff(sound, form()), "48: the file ends without its data chunk behind the header"),
            (riff(form(), chunk(b"dat", b"")[:-1]), "42: the file ends without its data chunk"),
        ],
        check_header,
    )


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"none\.wav: cannot be read: No such file"):
        read_wav(tmp_path / "none.wav", 8000)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(DataError, match=r"pipe\.wav: not a file"):
        read_wav(tmp_path / "pipe.wav", 8000)
    monkeypatch.setattr(wav, "LIMIT", 100)
    with pytest.raises(DataError, match=r"long\.wav: byte 100: longer than the 100 bytes"):
        read_wav(write_wav(tmp_path / "long.wav", tone(50)), 8000)


def test_damaged_files_are_refused_in_a_line_or_give_sound() -> None:
    assert wav_outcome(SAMPLE).refused is None
    outcomes = [wav_outcome(wav_mutant(number)) for number in range(500)]
    refused = {each.refused for each in outcomes if each.refused is not None}
    assert len(refused) > 20
    assert any(each.refused is None for each in outcomes)


def test_real_files_read_as_by_the_standard_library_and_scipy() -> None:
    folder = real_data("fsdd/recordings") / "fsdd/recordings"
    for name in ("0_george_0.wav", "9_yweweler_49.wav", "1_theo_20.wav"):
        with wave.open(str(folder / name)) as file:
            expected = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate, sound = wavfile.read(folder / name)
        read = read_wav(folder / name, rate)
        assert np.array_equal(read, expected)
        assert np.array_equal(read, sound)
