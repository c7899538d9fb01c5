"""Compiled libraries are kept once, and loaded only if they are what was compiled and nobody else could change them."""

import ctypes
import hashlib
import logging
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from membrane.fast import kernels, library
from membrane.fast.library import keep_library, kept_library, load_library

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
OPTIONS = ["-shared", "-fPIC"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of libraries in an empty cache, in which lines are told that were told before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library.tell_once.cache_clear()
    return tmp_path / "cache" / "membrane" / "kernels"


@pytest.fixture
def loaded(tmp_path: Path, cache: Path) -> Callable[[], tuple[Path, bytes]]:
    """What would be loaded now as the library of a small C file: its path and content; nothing is executed."""
    source = tmp_path / "answer.c"
    source.write_text("int answer(void) { return 42; }\n")
    return lambda: load_library(source, OPTIONS, lambda path: (path, path.read_bytes()))


def is_whole(content: bytes) -> bool:
    return content.startswith(b"\x7fELF") and b"answer" in content


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def open_to_all(path: Path) -> None:
    path.write_bytes(b"\x7fELF of somebody else")
    path.chmod(0o666)


@needs_compiler
@pytest.mark.parametrize(
    "damage", [truncate, replace_by_link, open_to_all, os.remove, lambda path: path.write_bytes(b"")]
)
@pytest.mark.parametrize("which", ["*.so", "*.sha256"])
def test_what_is_not_what_was_compiled_is_compiled_again_with_a_line(
    which: str,
    damage: Callable[[Path], None],
    loaded: Callable[[], tuple[Path, bytes]],
    cache: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, content = loaded()
    assert is_whole(content)
    assert path.parent == cache.resolve()
    [victim] = cache.glob(which)
    damage(victim)
    with caplog.at_level(logging.INFO):
        assert is_whole(loaded()[1])
    lines = [] if which == "*.sha256" and damage is os.remove else [": compiled again"]
    assert [message[-len(": compiled again") :] for message in caplog.messages] == lines
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert is_whole(loaded()[1])
    assert caplog.messages == []


@needs_compiler
def test_a_library_of_another_users_is_not_loaded(
    loaded: Callable[[], tuple[Path, bytes]], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All may write into the folder, and somebody put a library there, with the digest that it has."""
    path, _ = loaded()
    planted = b"\x7fELF of somebody else"
    digest = hashlib.sha256(planted).hexdigest()
    [listing] = cache.glob("*.sha256")
    listing.write_text(digest)
    path.with_name(f"{listing.stem}-{digest[:16]}.so").write_bytes(planted)
    cache.chmod(0o777)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            path, content = loaded()
            assert is_whole(content)
            assert path.parent != cache.resolve()
            assert not path.exists()  # it lay in a folder of its own
    assert caplog.messages == [f"nothing compiled is kept: others may write into {cache.resolve()}: chmod go-w helps"]


def test_two_processes_that_keep_different_libraries_never_mix_them(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"compiled{number}").write_bytes(bytes([number]))
        keep_library(tmp_path / f"compiled{number}", tmp_path, "key")
        shutil.copy(tmp_path / "key.sha256", tmp_path / f"digest{number}")
    for number in (1, 2):  # whichever wrote its digest last
        shutil.copy(tmp_path / f"digest{number}", tmp_path / "key.sha256")
        kept = kept_library(tmp_path, "key")
        assert kept is not None
        assert kept.read_bytes() == bytes([number])


def test_what_cannot_be_kept_is_used_where_it_was_compiled(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiled, folder = tmp_path / "compiled", tmp_path / "file"
    compiled.write_bytes(b"library")
    folder.write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert keep_library(compiled, folder, "key") == compiled
    [line] = caplog.messages
    assert line.startswith("nothing compiled is kept: ")


def answers(source: Path, times: int) -> None:
    for _ in range(times):
        assert load_library(source, OPTIONS, lambda path: ctypes.CDLL(str(path)).answer()) == 42


@needs_compiler
def test_processes_that_start_at_once_all_load_a_whole_library(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "answer.c").write_text("int answer(void) { return 42; }\n")
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=answers, args=(tmp_path / "answer.c", 3)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(path.suffix for path in cache.iterdir()) == [".sha256", ".so"]


@pytest.fixture
def fresh(cache: Path) -> Callable[[], kernels.Kernel | None]:
    """The kernel of one form, as another process with an empty cache would get it."""
    wanted = kernels.Form("integrate", True, False, False, False, "ATan", torch.float32)
    return partial(kernels.kernel_for.__wrapped__, wanted)


@needs_compiler
def test_a_kernel_is_compiled_once(
    fresh: Callable[[], kernels.Kernel | None], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh() is not None
    [path] = cache.glob("*.so")
    assert path.parent.stat().st_mode & 0o077 == 0
    before = path.stat().st_mtime_ns
    monkeypatch.setenv("PATH", "")  # no compiler any more
    assert fresh() is not None
    assert path.stat().st_mtime_ns == before


def test_without_a_compiler(
    fresh: Callable[[], kernels.Kernel | None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    with caplog.at_level(logging.WARNING):
        assert fresh() is None
    [record] = caplog.records
    assert record.getMessage() == ("neurons run without their compiled kernel, slower: there is no C compiler (gcc)")


@needs_compiler
def test_a_compiler_that_fails(
    fresh: Callable[[], kernels.Kernel | None],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(kernels, "OPTIONS", ["-no-such-option"])
    with caplog.at_level(logging.WARNING):
        assert fresh() is None
    assert "no-such-option" in caplog.text
    assert not list(cache.iterdir())


@needs_compiler
def test_without_a_place_to_keep_it(
    fresh: Callable[[], kernels.Kernel | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert fresh() is not None
        assert fresh() is not None
    [line] = caplog.messages
    assert line.startswith("nothing compiled is kept: ")


@needs_compiler
def test_without_any_folder_of_ones_own_neurons_run_without_a_kernel(
    fresh: Callable[[], kernels.Kernel | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    with caplog.at_level(logging.WARNING):
        assert fresh() is None
    assert [line.partition(": ")[0] for line in caplog.messages] == [
        "nothing compiled is kept",
        "neurons run without their compiled kernel, slower",
    ]


def test_the_compiler_has_a_temporary_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda *arguments, env, **options: calls.append(env["TMPDIR"]))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    library.compile_library(Path("a.c"), [], tmp_path / "a.so")
    assert calls == [str(tmp_path)]
