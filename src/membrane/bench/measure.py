"""Time one workload: build every peer's net with the same weights, check them, take turns."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn

from membrane.bench.peers import CHANNELS_LAST, Peer
from membrane.bench.peers.net import copy_weights
from membrane.bench.precision import laid_out, place
from membrane.bench.record import Case, Timing, label
from membrane.bench.step import Step, data, layer_step, training_step
from membrane.bench.timing import Rounds, nothing
from membrane.bench.workloads import Workload
from membrane.training.memory import out_of_memory

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Entry:
    """A peer at a precision, ready to step."""

    peer: Peer
    precision: str
    step: Step
    guess: float
    memory: int | None


def measure(workload: Workload, peers: Sequence[Peer], device: torch.device, rounds: int, until: float) -> Case:
    """Interleaved timings of a training step; a peer that does not fit the memory is left out, and named."""
    turns = Rounds(settle=settling(device))
    entries: dict[str, Entry] = {}
    left_out: dict[str, str] = {}
    source, batch = initial(peers[0], workload, device), data(workload, device)
    for peer in peers:
        for precision in worth_it(peer, workload):
            name = label(peer.name, precision)
            try:
                entries[name] = entry(peer, precision, workload, source, batch, turns, until)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                left_out[name] = "out of memory"
                release(device)
    steps = {name: each.step for name, each in entries.items()}
    seconds = turns.run(steps, {name: each.guess for name, each in entries.items()}, rounds, until)
    timings = [
        Timing(each.peer.name, each.peer.role, each.precision, seconds[name], each.memory)
        for name, each in entries.items()
    ]
    return Case(workload, timings, left_out)


def settling(device: torch.device) -> Callable[[], None]:
    """What waits for a device."""
    return torch.cuda.synchronize if device.type == "cuda" else nothing


def initial(peer: Peer, workload: Workload, device: torch.device) -> nn.Module:
    """The net whose weights all others start from."""
    torch.manual_seed(0)
    return peer.build(workload, device).module


def entry(
    peer: Peer, precision: str, workload: Workload, source: nn.Module, batch: Batch, turns: Rounds, until: float
) -> Entry:
    """Build, check and warm up; on CUDA also measure what that takes of the memory at its peak."""
    device = batch[0].device
    before = allocated(device)
    step = ready(peer, precision, workload, source, batch)
    guess = turns.warm_up(step, until)
    memory = None if before is None else torch.cuda.max_memory_allocated(device) - before
    return Entry(peer, precision, step, guess, memory)


def ready(peer: Peer, precision: str, workload: Workload, source: nn.Module, batch: Batch) -> Step:
    """A peer's training step. ValueError where its net is not that of the others."""
    x, y = batch
    net = peer.build(workload, x.device)
    copy_weights(source, net.module)
    channels_last = precision != "fp32" and peer.lies_last(workload)
    place(net.module, x.device, channels_last)
    x = laid_out(x, workload, channels_last)
    return training_step(net, x, y, precision) if workload.classes else layer_step(net, x)


def allocated(device: torch.device) -> int | None:
    """Bytes in use on CUDA, from where on a new peak counts; the CPU's are measured in another process."""
    if device.type != "cuda":
        return None
    release(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def worth_it(peer: Peer, workload: Workload) -> list[str]:
    """A peer's precisions, and fp32 in two layouts where it has them; a layer alone has one."""
    if not workload.classes:
        return ["fp32"]
    return [each for each in peer.precisions if each != CHANNELS_LAST or peer.lies_last(workload)]


def release(device: torch.device) -> None:
    """Give back what nobody holds."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def share(end: float | None, cases: int) -> float:
    """Until when the next of so many cases may take, of the time that is left for all."""
    now = perf_counter()
    return float("inf") if end is None else now + max(0.0, end - now) / cases
