"""Fused neurons in C: `kernel.c`, compiled for a form of neuron the first time that one runs, and kept on disk.

That takes a C compiler and half a second, once on a machine: the library serves every shape and number of timesteps,
and the constants (τ, threshold, the surrogate's parameters) are arguments. torch.compile does the same in a minute, and
needs ten seconds where its cache is warm. Without a compiler the neurons run as `eager`.
"""

import ctypes
import hashlib
import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from membrane.fast.dynamics import Dynamics, State
from membrane.fast.layout import like_rows, like_step
from membrane.fast.surrogate_gradients import COMPILED

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("kernel.c")
# No -ffast-math and no contraction: each operation rounds as torch's does.
ROUNDING = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
OPTIONS = ["-std=c11", "-O3", *ROUNDING, "-fopenmp", "-fPIC", "-shared"]
WIDE = {"AVX2": ["-mavx2"], "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]}
SECONDS = 120

FEW, SHORT, LONG = 4, 64, 2048
"""Neurons that a thread takes through all timesteps at a time: so short that all fits the innermost cache, up to a few
timesteps; with more, as many streams of memory want longer runs."""
WORKSPACE = 2**16
"""Numbers of all timesteps in a block, at most: a quarter of a mebibyte."""
PARALLEL = 2**15
"""Numbers that are worth a second thread: torch's own grain."""


class Constants(ctypes.Structure):
    """``constants`` in C."""

    _fields_ = [(name, ctypes.c_float) for name in ("threshold", "reset", "leak", "p", "q")]


class Form(NamedTuple):
    """What is compiled in."""

    charge: str
    multiplies: bool
    decay_input: bool
    hard_reset: bool
    detach_reset: bool
    surrogate: str
    dtype: torch.dtype

    def definitions(self) -> list[str]:
        """Of the preprocessor; see `kernel.c`."""
        integrates = self.charge == "integrate"
        flags = {
            "BFLOAT16": self.dtype == torch.bfloat16,
            "INTEGRATE": integrates,
            "DECAY_INPUT": self.decay_input and not integrates,
            "LEARNS_RATE": self.charge == "learned",
            "HARD_RESET": self.hard_reset,
            "DETACH_RESET": self.detach_reset,
        }
        operator = "*" if self.multiplies else "/"
        return [
            *(f"-D{name}" for name, wanted in flags.items() if wanted),
            f"-DLEAK(a)=((a) {operator} c.leak)",
            f"-DSURROGATE={COMPILED[self.surrogate][0]}",
        ]


def form(dynamics: Dynamics, dtype: torch.dtype) -> Form:
    """The form of a layer whose input has that type."""
    return Form(
        dynamics.charge,
        dynamics.charge == "learned" or exact(dynamics.tau),
        dynamics.decay_input,
        dynamics.v_reset is not None,
        dynamics.detach_reset,
        type(dynamics.surrogate).__name__,
        dtype,
    )


def exact(tau: float) -> bool:
    """Whether τ is a power of two: then the product with 1/τ has the bits of the quotient, and takes less time."""
    return math.frexp(tau)[0] == 0.5


def block(timesteps: int) -> int:
    """Neurons in a block: no more than the timesteps decides it, so that sums are the same on any number of threads."""
    return SHORT if timesteps <= FEW else max(SHORT, min(LONG, WORKSPACE // timesteps // 16 * 16))


class Kernel:
    """One form, loaded."""

    def __init__(self, library: Path) -> None:
        pointer, number, single = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        loaded = ctypes.CDLL(str(library))
        self._forward, self._backward = loaded.forward, loaded.backward
        self._forward.restype, self._backward.restype = None, ctypes.c_int
        self._forward.argtypes = [*[pointer] * 4, *[number] * 4, single, Constants, ctypes.c_int]
        self._backward.argtypes = [*[pointer] * 7, *[number] * 5, single, single, Constants, ctypes.c_int]

    def forward(self, dynamics: Dynamics, x: Tensor, state: State, rate: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [T,N,…], dense in each timestep → spikes [T,N,…] and the last v [N,…], laid out as x."""
        before, start = state
        spikes, after = like_rows(x), like_step(x)
        steps, neurons = len(x), after.numel()
        self._forward(
            x.data_ptr(),
            None if before is None else before.data_ptr(),
            spikes.data_ptr(),
            after.data_ptr(),
            steps,
            neurons,
            x.stride(0),
            block(steps),
            start,
            constants(dynamics, rate),
            threads(x),
        )
        return spikes, after

    def backward(
        self,
        dynamics: Dynamics,
        x: Tensor,
        state: State,
        rate: Tensor | None,
        g_spikes: Tensor,
        g_after: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Gradients of spikes [T,N,…] and of the last v (or None) → of x, of the first v and of the rate, if any."""
        before, start = state
        g_x, g_before = like_rows(x), None if before is None else like_step(x)
        steps = len(x)
        neurons = x.numel() // steps
        size = block(steps)
        g_rate = None if rate is None else torch.empty(-(-neurons // size), dtype=torch.float64)
        failed = self._backward(
            x.data_ptr(),
            None if before is None else before.data_ptr(),
            g_spikes.data_ptr(),
            None if g_after is None else g_after.data_ptr(),
            g_x.data_ptr(),
            None if g_before is None else g_before.data_ptr(),
            None if g_rate is None else g_rate.data_ptr(),
            steps,
            neurons,
            x.stride(0),
            g_spikes.stride(0),
            size,
            start,
            1 / dynamics.tau if rate is None else float(rate),
            constants(dynamics, rate),
            threads(x),
        )
        if failed:
            raise MemoryError(f"no memory for the gradient of {steps} timesteps of {size} neurons")
        return g_x, g_before, None if rate is None or g_rate is None else g_rate.sum().to(rate.dtype)


def constants(dynamics: Dynamics, rate: Tensor | None) -> Constants:
    """The numbers of a layer."""
    tau = dynamics.tau
    leak = float(rate) if rate is not None else 1 / tau if exact(tau) else tau
    return Constants(dynamics.v_threshold, dynamics.rest, leak, *dynamics.parameters)


def threads(x: Tensor) -> int:
    """As many as torch would take for x."""
    return torch.get_num_threads() if x.numel() >= PARALLEL else 1


@cache
def kernel(wanted: Form) -> Kernel | None:
    """The kernel of a form, compiled if it is not on disk; None where that cannot be: one line says why."""
    if not COMPILED[wanted.surrogate][0]:
        return None
    definitions = [*OPTIONS, *WIDE.get(torch.backends.cpu.get_cpu_capability(), []), *wanted.definitions()]
    try:
        return loaded(definitions)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error) or type(error).__name__
        log.warning("neurons run without their compiled kernel, slower: %s", str(said).strip().splitlines()[0])
        return None


def loaded(definitions: list[str]) -> Kernel:
    """The kernel for these options, from the cache or made there. OSError, SubprocessError."""
    digest = hashlib.sha256("\0".join([SOURCE.read_text(), sys.platform, *definitions]).encode()).hexdigest()[:16]
    folder = cache_folder()
    if folder is None:
        with tempfile.TemporaryDirectory() as passing:
            return Kernel(compiled(definitions, Path(passing) / f"{digest}.so"))
    library = folder / f"{digest}.so"
    if library.exists():
        try:
            return Kernel(library)
        except (OSError, AttributeError):
            log.info("%s cannot be loaded: compiled again", library)
    return Kernel(compiled(definitions, library))


def cache_folder() -> Path | None:
    """Where compiled kernels stay, a folder of the person's own; None where there can be none."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "membrane" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def compiled(definitions: list[str], library: Path) -> Path:
    """Compile to ``library``, which is whole or not there: other processes may be making it too."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":  # elsewhere OpenMP would come as a second pool of threads
        raise FileNotFoundError("there is no C compiler (gcc)")
    handle, name = tempfile.mkstemp(suffix=".so", dir=library.parent)
    os.close(handle)
    made = Path(name)
    try:
        subprocess.run(
            [compiler, *definitions, str(SOURCE), "-o", name, "-lm"],
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        made.replace(library)
    finally:
        made.unlink(missing_ok=True)
    return library
