"""Fused neurons in C: `kernel.c`, compiled for each form of neuron when one first runs, and kept on disk.

This takes a C compiler and half a second, once on a machine: a library serves every shape and number of timesteps, and
the constants (τ, threshold, the surrogate's parameters) are arguments. torch.compile takes a minute for the same, and
ten seconds with a warm cache. Without a compiler the neurons run as in `eager`.
"""

import ctypes
import logging
import math
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from membrane.fast.dynamics import Dynamics, State
from membrane.fast.layout import empty_rows, empty_step
from membrane.fast.library import Loaded, load_library
from membrane.fast.surrogate_gradients import C_DERIVATIVES

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("kernel.c")
# No -ffast-math and no contraction: each operation rounds as torch's does.
ROUNDING = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
OPTIONS = ["-std=c11", "-O3", *ROUNDING, "-fopenmp", "-fPIC", "-shared"]
WIDE = {"AVX2": ["-mavx2"], "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]}

FEW, SHORT, LONG = 4, 64, 1024
"""Neurons that a thread takes through all timesteps at a time. Up to FEW timesteps it is SHORT, which fits into the
innermost cache; with more, each timestep is a stream of memory, for which longer runs are faster, LONG at most."""
WORKSPACE = 2**16
"""Largest number of values in a block, over all timesteps: a quarter of a mebibyte."""
PARALLEL = 2**15
"""Number of values from which a second thread pays: torch's own grain."""


class Constants(ctypes.Structure):
    """The struct ``constants`` in C."""

    _fields_ = [(name, ctypes.c_float) for name in ("threshold", "reset", "leak", "p", "q")]


class Form(NamedTuple):
    """The part of the dynamics that is compiled in.

    Arguments:
        charge: as in `Dynamics`.
        multiplies: the leak multiplies by 1/τ; otherwise it divides by τ.
        decay_input: as in `Dynamics`.
        hard_reset: to a potential; otherwise by subtraction of the threshold.
        detach_reset: as in `Dynamics`.
        surrogate: name of SpikingJelly's class.
        dtype: of x and the spikes, float32 or bfloat16.
    """

    charge: str
    multiplies: bool
    decay_input: bool
    hard_reset: bool
    detach_reset: bool
    surrogate: str
    dtype: torch.dtype

    def definitions(self) -> list[str]:
        """Return the compiler's definitions, which `kernel.c` explains."""
        integrates = self.charge == "integrate"
        flags = {
            "BFLOAT16": self.dtype == torch.bfloat16,
            "INTEGRATE": integrates,
            "LATE_RESET": self.charge == "reset_late",
            "DECAY_INPUT": self.decay_input and not integrates,
            "LEARNS_RATE": self.charge == "learned",
            "HARD_RESET": self.hard_reset,
            "DETACH_RESET": self.detach_reset,
        }
        operator = "*" if self.multiplies else "/"
        return [
            *(f"-D{name}" for name, defined in flags.items() if defined),
            f"-DLEAK(a)=((a) {operator} c.leak)",
            f"-DSURROGATE={C_DERIVATIVES[self.surrogate][0]}",
        ]


def form_of(dynamics: Dynamics, dtype: torch.dtype) -> Form:
    """Return the form of a layer with input of that dtype."""
    return Form(
        dynamics.charge,
        dynamics.charge == "learned" or is_power_of_two(dynamics.tau),
        dynamics.decay_input,
        dynamics.v_reset is not None,
        dynamics.detach_reset,
        type(dynamics.surrogate).__name__,
        dtype,
    )


def is_power_of_two(tau: float) -> bool:
    """Return whether τ is a power of two: then a product with 1/τ has the bits of the quotient, and is faster."""
    return math.frexp(tau)[0] == 0.5


def block_size(timesteps: int) -> int:
    """Return the number of neurons in a block, from T alone, so that sums are the same for any number of threads."""
    return SHORT if timesteps <= FEW else max(SHORT, min(LONG, WORKSPACE // timesteps // 16 * 16))


class Kernel:
    """The library of one form."""

    def __init__(self, library: Path) -> None:
        pointer, number, single = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        functions = ctypes.CDLL(str(library))
        self._forward, self._backward = functions.forward, functions.backward
        self._forward.restype, self._backward.restype = None, ctypes.c_int
        self._forward.argtypes = [*[pointer] * 4, *[number] * 4, single, Constants, ctypes.c_int]
        self._backward.argtypes = [*[pointer] * 7, *[number] * 6, single, single, Constants, ctypes.c_int]

    def forward(self, dynamics: Dynamics, x: Tensor, state: State, rate: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run x [T,N,…], dense in each timestep → spikes [T,N,…] and the last v [N,…], laid out as x."""
        before, start = state
        spikes, after = empty_rows(x), empty_step(x)
        steps, neurons = len(x), after.numel()
        self._forward(
            x.data_ptr(),
            None if before is None else before.data_ptr(),
            spikes.data_ptr(),
            after.data_ptr(),
            steps,
            neurons,
            x.stride(0),
            block_size(steps),
            start,
            constants_of(dynamics, rate),
            thread_count(x),
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
        repeated: bool = False,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Convert gradients of spikes [T,N,…] and the last v (or None) to those of x, the first v and the rate.

        Arguments:
            dynamics, state, rate: as in the forward pass.
            x: [T,N,…], dense in each timestep.
            g_spikes, g_after: gradients, laid out as x.
            repeated: x is the same at every timestep; its gradient is [1,N,…], summed over them. Not by default.
        """
        before, start = state
        g_x, g_before = empty_rows(x[:1] if repeated else x), None if before is None else empty_step(x)
        steps = len(x)
        neurons = x.numel() // steps
        size = block_size(steps)
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
            0 if repeated else neurons,
            size,
            start,
            1 / dynamics.tau if rate is None else float(rate),
            constants_of(dynamics, rate),
            thread_count(x),
        )
        if failed:
            raise MemoryError(f"no memory for the gradient of {steps} timesteps of {size} neurons")
        return g_x, g_before, None if rate is None or g_rate is None else g_rate.sum().to(rate.dtype)


def constants_of(dynamics: Dynamics, rate: Tensor | None) -> Constants:
    """Return the constants of a layer; its leak is the learned rate, if there is one."""
    tau = dynamics.tau
    leak = float(rate) if rate is not None else 1 / tau if is_power_of_two(tau) else tau
    leak = dynamics.beta if dynamics.charge == "reset_late" else leak
    return Constants(dynamics.v_threshold, dynamics.rest, leak, *dynamics.parameters)


def thread_count(x: Tensor) -> int:
    """Return the number of threads that torch would use for x."""
    return torch.get_num_threads() if x.numel() >= PARALLEL else 1


@cache
def kernel_for(form: Form) -> Kernel | None:
    """Return the kernel of a form, compiled if it is not on disk. If it cannot be, log the reason and return None."""
    if not C_DERIVATIVES[form.surrogate][0]:
        return None
    return compiled_library(SOURCE, form.definitions(), Kernel, "neurons")


def compiled_library(source: Path, definitions: list[str], load: Callable[[Path], Loaded], what: str) -> Loaded | None:
    """Return the library of a C file with these definitions. If there cannot be one, log the reason and return None."""
    wide = WIDE.get(torch.backends.cpu.get_cpu_capability(), [])
    try:
        return load_library(source, [*OPTIONS, *wide, *definitions], load)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error) or type(error).__name__
        log.warning("%s run without their compiled kernel, slower: %s", what, str(reason).strip().splitlines()[0])
        return None
