"""Compiled libraries in the person's cache folder, each loaded only if it is the one that was compiled.

Beside a library lies a file with its SHA-256, and its name begins with that: so two processes that compile it at once
never put one's library beside the other's digest.
"""

import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path

from membrane.files.durable import write_whole
from membrane.files.owned import own_folder, own_temporary_folder, read_own

log = logging.getLogger(__name__)

SECONDS = 120  # for the compiler
LARGEST = 2**26
"""Bytes of a library at most."""

Loaded = TypeVar("Loaded")


def load_library(source: Path, options: list[str], load: Callable[[Path], Loaded]) -> Loaded:
    """Return what ``load`` makes of the library of a C file, compiled with these options if the cache has none.

    Raises OSError or SubprocessError if it cannot be compiled or loaded.
    """
    machine = [sys.platform, platform.machine()]  # a home may be shared by several
    key = hashlib.sha256("\0".join([source.read_text(encoding="utf-8"), *machine, *options]).encode()).hexdigest()[:16]
    folder = cache_folder("kernels")
    if folder is not None and (library := kept_library(folder, key)) is not None:
        try:
            return load(library)
        except (OSError, AttributeError):
            log.info("%s cannot be loaded: compiled again", library)
    with own_temporary_folder() as temporary:
        library = temporary / f"{key}.so"
        compile_library(source, options, library)
        return load(library if folder is None else keep_library(library, folder, key))


def cache_folder(name: str) -> Path | None:
    """Return a folder in the person's cache folder that is theirs alone; None, and a line, if there cannot be one."""
    try:
        return own_folder(user_cache_path(), "membrane", name)
    except OSError as error:
        tell_once(f"nothing compiled is kept: {error}")
        return None


@cache
def tell_once(line: str) -> None:
    """Log a warning, at the first call with that line."""
    log.warning("%s", line)


def kept_library(folder: Path, key: str) -> Path | None:
    """Return the library of that key, if it is the one that was kept; a line tells of one that is not."""
    listing = folder / f"{key}.sha256"
    try:
        digest = read_own(listing, 64).decode("ascii", errors="replace")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise PermissionError(f"{listing} holds no SHA-256")
        library = folder / f"{key}-{digest[:16]}.so"
        if hashlib.sha256(read_own(library, LARGEST)).hexdigest() != digest:
            raise PermissionError(f"{library} is not the file that was compiled")
    except OSError as error:
        if listing.exists():
            log.info("%s: compiled again", error)
        return None
    return library


def keep_library(compiled: Path, folder: Path, key: str) -> Path:
    """Copy a library into the cache, its digest last, and return its path there; its own if that fails, with a line."""
    content = compiled.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    library = folder / f"{key}-{digest[:16]}.so"
    try:
        write_whole(library, lambda file: file.write(content))
        write_whole(folder / f"{key}.sha256", lambda file: file.write(digest.encode()))
    except OSError as error:
        tell_once(f"nothing compiled is kept: {error}")
        return compiled
    return library


def compile_library(source: Path, options: list[str], library: Path) -> None:
    """Compile a C file to ``library``. Raises OSError or SubprocessError if that fails."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":  # elsewhere OpenMP would come as a second pool of threads
        raise FileNotFoundError("there is no C compiler (gcc)")
    subprocess.run(
        [compiler, *options, str(source), "-o", str(library), "-lm"],
        check=True,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=SECONDS,
        env={**os.environ, "TMPDIR": str(library.parent)},  # for what it writes on the way
    )
