"""A user's own modules, run once before training: refused if a method of theirs would never be called.

SpikingJelly 2 computes its neurons in ``single_step_functional_forward`` and ``multi_step_functional_forward``. The
methods that code for earlier versions overrides (``neuronal_charge``, ``neuronal_fire``, ``neuronal_reset``) it calls
in SimpleBaseNode alone: a LIFNode with a ``neuronal_charge`` of its own would train as a plain LIFNode.
"""

import copy
import inspect
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

import torch
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.base import StepModule
from torch import Tensor, nn

from membrane.analysis.listening import listening
from membrane.errors import ConfigError, one_line
from membrane.framework import Framework
from membrane.models.own_time import OwnsTime
from membrane.neurons import KNOWN_PACKAGES
from membrane.randomness import scoped

log = logging.getLogger(__name__)

Place = tuple[str, str]
"""A function's file and qualified name."""

BASE = "spikingjelly.activation_based.neuron.SimpleBaseNode"
EQUATIONS = ("neuronal_charge", "neuronal_fire", "neuronal_reset")
STEPS = {
    "s": ("single_step_forward", "single_step_functional_forward"),
    "m": ("multi_step_forward", "multi_step_functional_forward"),
}
"""Step mode → the methods that compute it and no other."""
OTHER = {"s": "m", "m": "s"}
HOOKS = (
    "apply_hard_reset",
    "apply_soft_reset",
    "v_float_to_tensor",
    "init_tensor",
    "materialize_states",
    "emitted",
    *STEPS["s"],
    *STEPS["m"],
)
"""Methods, besides equations, that a class overrides to compute something else than its base."""
EQUATION_PREFIXES = ("neuronal_", "jit_")
"""Beginnings of the names of equations, of which earlier versions of SpikingJelly had one for each case."""
LARGE = 10
"""Factor of an example in which neurons shall fire."""


def refuse_unused_code(model: nn.Module, framework: Framework, x: Tensor) -> None:
    """Run a copy of the model on x [N,…] or [N,T,…] if it has modules of the user's own.

    Raises ConfigError if one overrides a method that is not called, if a step mode is not the framework's, or if state
    is left from one batch to the next. A model that cannot be copied, or raises an error, is left to the run; a log
    line says that it was not checked.
    """
    if not any(is_own(module) or replaced_equations(module) for module in model.modules()):
        return
    try:
        model = copy.deepcopy(model)
        probe = Probe(model)
        for training in (True, False):  # a method may be for one of them
            probe.run(framework, x, training)
        unsteady = probe.unsteady_module(framework, LARGE * x)
    except Exception as error:  # of the user's code
        if isinstance(error, NotImplementedError) and STEPS["s"][1] in str(error):  # BaseNode's, of older code
            inherit = f"inherit from {BASE}, which calls {', '.join(EQUATIONS)}"
            raise ConfigError(f"{one_line(error).rstrip('.')}, or {inherit}") from None
        log.warning("own modules were not checked for methods that never run: %s", one_line(error))
        return
    probe.refuse_step_modes()
    probe.refuse_mixed_modes()
    probe.refuse_overrides()
    if unsteady is not None:
        raise ConfigError(
            f"{class_text(unsteady, model)}: it puts out something else when the same input comes again: its state is "
            "not reset between batches (self.register_memory(name, start) lets it be), or it draws from a generator of "
            "its own (torch's, without one, is seeded)"
        )


def is_own(module: nn.Module) -> bool:
    """Return whether a module's class is the user's own, or of a library that membrane does not know."""
    return type(module).__module__.partition(".")[0] not in KNOWN_PACKAGES


class Probe:
    """Runs a model and records which functions and which modules are called, and the step modes before and after."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.calls: set[Place] = set()
        self.modules_called: set[nn.Module] = set()
        self.modes: dict[str, str] = {}
        self.changed: dict[str, tuple[str, str]] = {}
        # between the framework, which has set the step modes, and the model, in single-step mode called several times
        model.register_forward_pre_hook(lambda *_: self.modes.update(step_modes(model)))
        model.register_forward_hook(self.compare_step_modes)
        for module in model.modules():
            module.register_forward_pre_hook(lambda called, _: self.modules_called.add(called))

    def run(self, framework: Framework, x: Tensor, training: bool) -> None:
        """Run the model on x [N,…] or [N,T,…]."""
        with torch.no_grad(), recorded_calls(self.calls):
            framework(self.model.train(training), x)

    def unsteady_module(self, framework: Framework, x: Tensor) -> str | None:
        """Return the name of the first own module whose outputs for x differ from one evaluation to the next."""
        first, second = (self.outputs_of_own_modules(framework, x) for _ in range(2))
        pairs = zip(first, second, strict=True)
        return next((name for (name, before), (_, after) in pairs if not torch.equal(before, after)), None)

    def outputs_of_own_modules(self, framework: Framework, x: Tensor) -> list[tuple[str, Tensor]]:
        """Evaluate x and return the outputs of own modules by name, in the order in which they were called."""
        outputs: list[tuple[str, Tensor]] = []

        def receive(name: str, _: nn.Module, output: object) -> None:
            if isinstance(output, Tensor):
                outputs.append((name, output.detach().nan_to_num().clone()))

        own = {name: module for name, module in self.model.named_modules() if is_own(module)}
        with torch.no_grad(), scoped(0, "observation"), listening(own, receive):
            framework(self.model.eval(), x)
        return outputs

    def compare_step_modes(self, model: nn.Module, *_: object) -> None:
        """Note the modules whose step mode is another after a forward than before it, and both modes."""
        after = step_modes(model)
        self.changed |= {name: (mode, after[name]) for name, mode in self.modes.items() if after[name] != mode}

    def refuse_step_modes(self) -> None:
        """Raise ConfigError, naming the module, if a forward changes a step mode, or a module keeps its own."""
        decides = "the framework alone decides it"
        for name, (before, after) in self.changed.items():
            line = f"a forward turns its step_mode {before!r} into {after!r}"
            raise ConfigError(f"{class_text(name, self.model)}: {line}, leave that out: {decides}")
        for name, module in self.model.named_modules():
            for mode in module.supported_step_mode() if isinstance(module, StepModule) and is_own(module) else ():
                module.step_mode = mode
                if module.step_mode != mode:
                    line = f"step_mode stays {module.step_mode!r} when it is set to {mode!r}"
                    raise ConfigError(f"{class_text(name, self.model)}: {line}: {decides}")

    def refuse_mixed_modes(self) -> None:
        """Raise ConfigError, naming the layer, if a model that owns time has a layer that is not in step mode 'm'."""
        before = step_modes(self.model)
        if isinstance(self.model, OwnsTime) and is_own(self.model):
            for child in self.model.children():
                functional.set_step_mode(child, "m")
            for name, mode in step_modes(self.model).items():
                if name and mode != before[name]:
                    line = f"step_mode is {before[name]!r} in a model that runs all of its layers in 'm'"
                    raise ConfigError(f"{class_text(name, self.model)}: {line}: call functional.set_step_mode")

    def refuse_overrides(self) -> None:
        """Raise ConfigError, naming module and method, if a module that was called overrides one that was not."""
        for name, module in self.model.named_modules():
            if name not in self.modes or module not in self.modules_called:
                continue
            unused = [hook for hook, code in replaced_equations(module).items() if place(code) not in self.calls]
            if is_own(module):
                unused += unused_methods(type(module), self.modes[name], self.calls)
            for hook in unused:
                reason = unused_line(type(module), hook, self.modes[name])
                raise ConfigError(f"{class_text(name, self.model)}: {reason}")


def replaced_equations(module: nn.Module) -> dict[str, CodeType]:
    """Return the equations that were set on a module itself, by name: ``neuron.neuronal_charge = function``."""
    functions = {name: getattr(value, "__code__", None) for name, value in vars(module).items() if is_equation(name)}
    return {name: code for name, code in functions.items() if isinstance(code, CodeType)}


def is_equation(name: str) -> bool:
    """Return whether a name is that of an equation in SpikingJelly, of this version or an earlier one."""
    return name in EQUATIONS or name.startswith(EQUATION_PREFIXES)


def step_modes(model: nn.Module) -> dict[str, str]:
    """Return the step mode of every module that has one, by dotted name."""
    return {name: module.step_mode for name, module in model.named_modules() if hasattr(module, "step_mode")}


def place(code: CodeType) -> Place:
    """Return the file and the qualified name of a function's code, which its version by torch.compile shares."""
    return code.co_filename, code.co_qualname


@contextmanager
def recorded_calls(calls: set[Place]) -> Iterator[None]:
    """Add the place of every Python function that is called inside to ``calls``."""

    def record(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls.add(place(frame.f_code))

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        yield
    finally:
        sys.setprofile(before)


def unused_methods(module_class: type, mode: str, calls: set[Place]) -> list[str]:
    """Return the methods that a class of the user's overrides and that its forward does not call in a step mode.

    One that a function of the class names counts as called if that function ran: it may depend on the data. The methods
    of one step mode need not run if the class has a forward of its own for the mode in which it ran.
    """
    equations = [name for base in module_class.__mro__ for name in vars(base) if is_equation(name)]
    hooks = dict.fromkeys([*HOOKS, *equations])
    own = {hook: place(code) for hook in hooks if (code := own_code(module_class, hook)) is not None}
    functions = [code_of(base, name) for base in module_class.__mro__ for name in vars(base)]
    named = {name for code in functions if code is not None and place(code) in calls for name in code.co_names}
    own_forward = any(own.get(hook) in calls for hook in STEPS[mode])
    either = (*STEPS["s"], *STEPS["m"])
    left = [hook for hook, where in own.items() if where not in calls]
    return [hook for hook in left if not (own_forward if hook in either else hook in named)]


def own_code(module_class: type, name: str) -> CodeType | None:
    """Return the code of a method if a class of the user's defines it, in place of a library's; None otherwise."""
    owner = next((base for base in module_class.__mro__ if name in vars(base)), None)
    if owner is None or owner.__module__.partition(".")[0] in KNOWN_PACKAGES:
        return None
    return code_of(owner, name)


def code_of(owner: type, name: str) -> CodeType | None:
    """Return the code of a function in a class's namespace, that inside its decorators; None if it is no function."""
    value = vars(owner)[name]
    function = inspect.unwrap(value.__func__ if isinstance(value, staticmethod | classmethod) else value)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def class_text(name: str, model: nn.Module) -> str:
    """Return a module's dotted name and its class, for the start of a line."""
    module_class = type(model.get_submodule(name)).__name__
    return f"{name} ({module_class})" if name else module_class


def unused_line(module_class: type, hook: str, mode: str) -> str:
    """Return the rest of the line on a method that is overridden and not called, with what would be right."""
    base = next(base for base in module_class.__mro__ if base.__module__.partition(".")[0] in KNOWN_PACKAGES)
    line = f"it overrides {hook}, which the forward of {base.__name__} does not call"
    if hook in EQUATIONS:
        return f"{line}: inherit from {BASE}, which calls {', '.join(EQUATIONS)}"
    if hook in STEPS[OTHER[mode]]:
        step = "single-step" if mode == "s" else "multi-step"
        return f"{line} in {step} mode: override {STEPS[mode][1]} too, or inherit from {BASE}"
    return f"{line}: leave it out, or call it"
