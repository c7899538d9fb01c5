"""The forward strategies, side by side: how time is unrolled around a model.

| `framework=` | the model is called | x |
|---|---|---|
| `singlestep` | T times, each time with the same x | [N,…] |
| `multistep` | once, with x repeated over time | [N,…] |
| `singlestep_tid` | once for each timestep in the data | [N,T,…] |
| `multistep_tid` | once, with all timesteps | [N,T,…] |
| `tbptt`, `sltt`, `ottt` (`_tid`) | as single-step, with gradients that are cut in time | [N,…] ([N,T,…]) |

Every forward resets all neurons *first*, so membrane potentials stay readable after it and no state crosses batches,
and sets ``step_mode`` of every layer, so that the framework alone decides. All return outputs [T,N,…]; averaging
is the readout's business. A model without neurons (an ANN) has no use for repetition: the plain strategies run it
once and return [1,N,…]; the *tid* ones run every frame on its own.

In training, multi-step batch norm normalises over T·N at once and updates its running statistics once; single-step
does so at every timestep. In eval mode the two are the same function. Where samples have lengths, batch norm sees their
valid timesteps alone in training.

Where that gives the same bits, single-step strategies run all timesteps at once (`membrane.fast.timesteps_at_once`).

An integrate-and-fire neuron with a threshold of 1 that receives 0.5 at each of four timesteps fires at every second:

>>> import torch
>>> from spikingjelly.activation_based import neuron
>>> model = torch.nn.Sequential(neuron.IFNode(v_threshold=1.0))
>>> x = torch.tensor([[0.5]])  # [N,F] = [1,1]
>>> outputs = MultiStep(timesteps=4)(model, x)  # [T,N,F] = [4,1,1]
>>> outputs.flatten()
tensor([0., 1., 0., 1.])
>>> torch.equal(SingleStep(timesteps=4)(model, x), outputs)
True
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from membrane.fast.chunked_backward import backward_in_chunks
from membrane.fast.recomputation import run_in_chunks
from membrane.fast.timesteps_at_once import at_once
from membrane.models.own_time import OwnsTime
from membrane.models.padding import valid_statistics
from membrane.models.state import detach_state
from membrane.neurons import is_snn
from membrane.neurons.online import learning_from_traces

Outputs = Tensor | dict[str, Tensor]
Strategy = Callable[[nn.Module, Tensor], Outputs]


class SingleStep:
    """x [N,…] → outputs [T,N,…]: T calls of the model, each on the same x."""

    timesteps_in_data = False

    def __init__(self, timesteps: int, recompute: int | None = None) -> None:
        self.timesteps, self.recompute = timesteps, recompute

    def __call__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Outputs:
        prepare_model(model, step_mode="s")
        return run_over_time(single_step, model, repeat_over_time(model, x, self.timesteps), None, self.recompute)


class MultiStep:
    """x [N,…] → outputs [T,N,…]: one call of the model on x expanded (a view, no copy) over T."""

    timesteps_in_data = False

    def __init__(self, timesteps: int, recompute: int | None = None) -> None:
        self.timesteps, self.recompute = timesteps, recompute

    def __call__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Outputs:
        prepare_model(model, step_mode="m")
        return run_over_time(multi_step, model, repeat_over_time(model, x, self.timesteps), None, self.recompute)


class SingleStepTID:
    """x [N,T,…] → outputs [T,N,…]: one call of the model for each timestep in the data, T as `time_first` says."""

    timesteps_in_data = True

    def __init__(self, timesteps: int, recompute: int | None = None) -> None:
        self.timesteps, self.recompute = timesteps, recompute

    def __call__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Outputs:
        x = time_first(x, self.timesteps, lengths)
        prepare_model(model, step_mode="s")
        return run_over_time(single_step, model, x, lengths, self.recompute)


class MultiStepTID:
    """x [N,T,…] → outputs [T,N,…]: one call of the model on all timesteps in the data, T as `time_first` says."""

    timesteps_in_data = True

    def __init__(self, timesteps: int, recompute: int | None = None) -> None:
        self.timesteps, self.recompute = timesteps, recompute

    def __call__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Outputs:
        x = time_first(x, self.timesteps, lengths)
        prepare_model(model, step_mode="m")
        return run_over_time(multi_step, model, x, lengths, self.recompute)


class TBPTT:
    """x [N,…] → outputs [T,N,…] as `SingleStep`: truncated backpropagation through time.

    Before the first of every ``truncation`` timesteps the state of all layers is detached, so that gradients flow
    through as many timesteps at most (Williams, Peng 1990, doi:10.1162/neco.1990.2.4.490). Training keeps the graph of
    these alone, and runs the model a second time in the backward pass: `backward_in_chunks`; unless ``keep_graph``.
    """

    timesteps_in_data = False

    def __init__(self, timesteps: int, truncation: int, keep_graph: bool = False) -> None:
        self.timesteps, self.truncation, self.keep_graph = timesteps, truncation, keep_graph

    def __call__(self, model: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Outputs:
        if self.timesteps_in_data:
            return self.unroll(model, time_first(x, self.timesteps, lengths), lengths)
        return self.unroll(model, repeat_over_time(model, x, self.timesteps))

    def unroll(self, model: nn.Module, frames: Tensor, lengths: Tensor | None = None) -> Outputs:
        """Run the model on frames [T,N,…] → outputs [T,N,…]; a gradient by the frames needs the whole graph."""
        run = partial(self.run_chunks, model, frames, lengths)
        keep_graph = self.keep_graph or self.truncation >= len(frames) or frames.requires_grad
        if keep_graph or not (model.training and torch.is_grad_enabled()):
            return join_chunks(list(run()))
        return backward_in_chunks(model, run)

    def run_chunks(self, model: nn.Module, frames: Tensor, lengths: Tensor | None) -> Iterator[Outputs]:
        """Run the model from the first timestep on and yield the outputs [k,N,…] of ``truncation`` timesteps each."""
        prepare_model(model, step_mode="s")
        with valid_statistics(model, lengths, len(frames)), self.learning(model):
            for chunk in torch.split(frames, self.truncation):
                detach_state(model)
                yield check_outputs(step_by_step(model, chunk), *chunk.shape[:2])

    def learning(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return the context in which layers learn in another way than autograd's."""
        return nullcontext()


class TBPTTTID(TBPTT):
    """x [N,T,…] → outputs [T,N,…] as `SingleStepTID`: `TBPTT` for timesteps in the data."""

    timesteps_in_data = True


class SLTT(TBPTT):
    """x [N,…] → outputs [T,N,…] as `SingleStep`: spatial learning through time (Meng et al. 2023, arXiv:2302.14311).

    `TBPTT` in which no gradient flows from one timestep to the one before.
    """

    def __init__(self, timesteps: int, keep_graph: bool = False) -> None:
        super().__init__(timesteps, 1, keep_graph)


class SLTTTID(SLTT):
    """x [N,T,…] → outputs [T,N,…] as `SingleStepTID`: `SLTT` for timesteps in the data."""

    timesteps_in_data = True


class OTTT(SLTT):
    """x [N,…] → outputs [T,N,…] as `SingleStep`: online training through time (Xiao et al. 2022, arXiv:2210.04195).

    `SLTT` in which layers of weights behind a neuron learn from traces of their inputs, â[t] = λ·â[t−1] + x[t], λ the
    neurons' leak. The stem learns from its input, as in the authors' code. Raises ConfigError in training unless all
    neurons leak by one constant.
    """

    def learning(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return the context in which weights learn from traces; outside training one without effect."""
        return learning_from_traces(model) if model.training else nullcontext()


class OTTTTID(OTTT):
    """x [N,T,…] → outputs [T,N,…] as `SingleStepTID`: `OTTT` for timesteps in the data."""

    timesteps_in_data = True


Framework = Callable[..., Outputs]
"""``(model, x, lengths=None)`` → outputs [T,N,…]; lengths [N] counts the valid timesteps of each sample (None: all)."""


def prepare_model(model: nn.Module, step_mode: str) -> None:
    """Reset every neuron and switch every layer to ``step_mode``; of a model that owns time, the model alone.

    Modules are walked through at every call: SpikingJelly's ``functional.reset_net`` remembers those of its first call
    and would not reset a layer that was added later. Its ``functional.set_step_mode`` leaves the children of
    containers that run step by step in either mode as they must be.
    """
    modules = list(model.modules())
    if isinstance(model, OwnsTime):
        model.step_mode = step_mode
    elif any(getattr(module, "step_mode", step_mode) != step_mode for module in modules):
        functional.set_step_mode(model, step_mode)
    for module in modules:
        if callable(reset := getattr(module, "reset", None)):
            reset()


def repeat_over_time(model: nn.Module, x: Tensor, timesteps: int) -> Tensor:
    """Repeat x [N,…] over time, a view without a copy → [T,N,…]; once, [1,N,…], for a model without neurons."""
    return x.expand(timesteps if is_snn(model) else 1, *x.shape)


def run_over_time(
    strategy: Strategy, model: nn.Module, x: Tensor, lengths: Tensor | None, recompute: int | None
) -> Outputs:
    """Run x [T,N,…] by a strategy → outputs [T,N,…]; for a gradient in chunks of ``recompute`` timesteps, if any."""

    def run(model: nn.Module, x: Tensor, first: int) -> Outputs:
        with valid_statistics(model, lengths, len(x), first):
            return check_outputs(strategy(model, x), *x.shape[:2])

    return join_chunks(run_in_chunks(run, model, x, recompute))


def single_step(model: nn.Module, x: Tensor) -> Outputs:
    """Call the model for each timestep of x [T,N,…] → outputs [T,N,…]; once for all where that gives the same bits."""
    outputs: Outputs | None = at_once(model, x)
    return step_by_step(model, x) if outputs is None else outputs


def step_by_step(model: nn.Module, x: Tensor) -> Outputs:
    """Call the model for each timestep of x [T,N,…], one after the other → outputs [T,N,…]."""
    return combine(torch.stack, [model(frame) for frame in x])


def multi_step(model: nn.Module, x: Tensor) -> Outputs:
    """Call the model once for all timesteps of x [T,N,…] → outputs [T,N,…]."""
    outputs: Outputs = model(x)
    return outputs


def time_first(x: Tensor, timesteps: int, lengths: Tensor | None) -> Tensor:
    """Move time of [N,T,C,S] or [N,T,C,H,W] to the front → [T,N,…].

    T is ``timesteps``; with lengths it may be less, in a batch that was cut to its longest sample. Raises ValueError if
    x has another rank or another T, or as `check_lengths`.
    """
    if x.dim() not in (4, 5):
        raise ValueError(f"timesteps in the data need x as [N,T,C,S] or [N,T,C,H,W], got {list(x.shape)}")
    if x.shape[1] != timesteps and (lengths is None or x.shape[1] > timesteps):
        raise ValueError(f"the data has {x.shape[1]} timesteps (axis 1 of {list(x.shape)}), expected {timesteps}")
    check_lengths(lengths, len(x), x.shape[1])
    return x.transpose(0, 1)


def check_lengths(lengths: Tensor | None, samples: int, timesteps: int | None = None) -> None:
    """Raise ValueError unless there is one length [N] for each sample, from 1 to T (None: not known).

    Lengths on a GPU are not read, because every step would wait for them; a run's were checked with its data.
    """
    if lengths is None:
        return
    if list(lengths.shape) != [samples]:
        raise ValueError(f"lengths must be [N] = [{samples}], got {list(lengths.shape)}")
    if lengths.is_cuda:
        return
    wrong = lengths < 1 if timesteps is None else (lengths < 1) | (lengths > timesteps)
    for sample in wrong.nonzero().flatten().tolist():
        expected = "at least 1" if timesteps is None else f"from 1 to {timesteps}"
        raise ValueError(f"lengths must be {expected}, sample {sample} has {lengths[sample].item()}")


def join_chunks(outputs: list[Outputs]) -> Outputs:
    """Join the outputs [k,N,…] of chunks → [T,N,…]."""
    return outputs[0] if len(outputs) == 1 else combine(torch.cat, outputs)


def combine(join: Callable[[list[Tensor]], Tensor], outputs: list[Outputs]) -> Outputs:
    """Combine several outputs into one, of dicts those under each key."""
    if isinstance(first := outputs[0], dict):
        return {key: join([each[key] for each in outputs if isinstance(each, dict)]) for key in first}
    return join([each for each in outputs if isinstance(each, Tensor)])


def check_outputs(outputs: Outputs, steps: int, samples: int) -> Outputs:
    """Return the outputs [T,N,…] unchanged. Raises ValueError unless every tensor begins with exactly (T, N)."""
    for output in outputs.values() if isinstance(outputs, dict) else (outputs,):
        if output.shape[:2] != (steps, samples):
            raise ValueError(f"the model returned {list(output.shape)}, expected [T={steps}, N={samples}, …]")
    return outputs


def require_tensor(prediction: Outputs) -> Tensor:
    """Return the prediction [N,K]. Raises ValueError for a dict: no part of it is the one to compare with y."""
    if isinstance(prediction, dict):
        raise ValueError(f"this loss needs one prediction, the model returned several: {', '.join(prediction)}")
    return prediction
