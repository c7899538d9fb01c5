"""Timing one workload: every peer's net is built with the same weights, and they take turns."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from membrane.bench.peers import CHANNELS_LAST, Peer
from membrane.bench.peers.net import copy_weights
from membrane.bench.precision import lay_out_input, place_net
from membrane.bench.record import Case, Timing, peer_label
from membrane.bench.step import TrainingStep, evaluation_step, layer_step, random_samples, training_step
from membrane.bench.timing import Rounds, no_wait
from membrane.bench.workloads import Workload
from membrane.training.memory import give_back_memory, out_of_memory

LabelledInput = tuple[Tensor, Tensor]
"""x [N,…] or [N,T,…] and labels y [N]."""


@dataclass(frozen=True)
class ReadyPeer:
    """A peer at a precision, built and warmed up: ``guess`` in seconds a step, ``memory`` in bytes on CUDA."""

    peer: Peer
    precision: str
    step: TrainingStep
    guess: float
    memory: int | None


def time_workload(
    workload: Workload,
    peers: Sequence[Peer],
    device: torch.device,
    rounds: int,
    until: float,
    evaluation: bool = False,
) -> Case:
    """Time a step of every peer in at most so many rounds, none begun after ``until`` of perf_counter.

    A step trains, or with ``evaluation`` computes outputs in eval mode without gradients. All nets start from the
    weights of the first peer's. A peer that does not fit into memory is left out, and named.
    """
    free_memory(device)  # of the case before, whose tensors had other sizes
    turns = Rounds(wait=device_wait(device))
    ready: dict[str, ReadyPeer] = {}
    left_out: dict[str, str] = {}
    source, samples = source_net(peers[0], workload, device), random_samples(workload, device)
    for peer in peers:
        for precision in timed_precisions(peer, workload):
            name = peer_label(peer.name, precision)
            build = partial(peer_step, peer, precision, workload, source, samples, evaluation)
            try:
                ready[name] = ReadyPeer(peer, precision, *warmed_up(build, device, turns, until))
            except Exception as error:
                if not out_of_memory(error):
                    raise
                left_out[name] = "out of memory"
                free_memory(device)
    steps, guesses = ({name: getattr(each, field) for name, each in ready.items()} for field in ("step", "guess"))
    seconds = turns.run(steps, guesses, rounds, until)
    timings = [
        Timing(each.peer.name, each.peer.role, each.precision, seconds[name], each.memory)
        for name, each in ready.items()
    ]
    return Case(workload, timings, left_out)


def device_wait(device: torch.device) -> Callable[[], None]:
    """Return the function that waits until the device has finished."""
    return torch.cuda.synchronize if device.type == "cuda" else no_wait


def source_net(peer: Peer, workload: Workload, device: torch.device) -> nn.Module:
    """Build the net whose weights all others start from."""
    torch.manual_seed(0)
    return peer.build(workload, device).module


def warmed_up(
    build: Callable[[], TrainingStep], device: torch.device, turns: Rounds, until: float
) -> tuple[TrainingStep, float, int | None]:
    """Build a step and warm it up → the step, its seconds, and on CUDA the bytes that both took at their peak."""
    before = reset_peak_memory(device)
    step = build()
    guess = turns.warm_up(step, until)
    return step, guess, None if before is None else torch.cuda.max_memory_allocated(device) - before


def peer_step(
    peer: Peer,
    precision: str,
    workload: Workload,
    source: nn.Module,
    samples: LabelledInput,
    evaluation: bool = False,
) -> TrainingStep:
    """Build a peer's step with the weights of ``source``. Raises ValueError if its net has other layers."""
    x, y = samples
    net = peer.build(workload, x.device)
    copy_weights(source, net.module)
    channels_last = precision != "fp32" and peer.has_channels_last(workload)
    place_net(net.module, x.device, channels_last)
    x = lay_out_input(x, workload, channels_last)
    if evaluation:
        return evaluation_step(net, x, precision)
    return training_step(net, x, y, precision) if workload.classes else layer_step(net, x)


def reset_peak_memory(device: torch.device) -> int | None:
    """Count CUDA's peak anew and return the bytes in use; None on the CPU, measured in another process."""
    if device.type != "cuda":
        return None
    free_memory(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def timed_precisions(peer: Peer, workload: Workload) -> list[str]:
    """Return a peer's precisions, with fp32 in channels last if it has that layout; a layer alone has fp32 only."""
    if not workload.classes:
        return ["fp32"]
    return [each for each in peer.precisions if each != CHANNELS_LAST or peer.has_channels_last(workload)]


def free_memory(device: torch.device) -> None:
    """Free memory that is no longer referenced, and give what is kept of it back to the system."""
    gc.collect()
    give_back_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def next_deadline(end: float | None, cases: int) -> float:
    """Return the time of perf_counter until which the next of so many cases may take, an equal share until ``end``."""
    now = perf_counter()
    return float("inf") if end is None else now + max(0.0, end - now) / cases
