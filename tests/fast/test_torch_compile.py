"""The model compiled while it trains: the same network, and eager wherever the compiler would miss something."""

import copy
import json
import logging
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from configurations import configured
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.fast.torch_compile import compile_training, set_compiler_cache
from membrane.framework import MultiStep, SingleStep
from membrane.training import assembly, optimizers

DIGITS = (1, 8, 8)
FRAMEWORKS: dict[str, Any] = {"singlestep": SingleStep, "multistep": MultiStep}


class Counting:
    """A backend that runs graphs as they are, and counts them and how often they run."""

    def __init__(self) -> None:
        self.graphs, self.runs = 0, 0

    def __call__(self, graph: Any, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1

        def run(*arguments: Any) -> Any:
            self.runs += 1
            return graph.forward(*arguments)

        return run


@pytest.fixture(autouse=True)
def fresh_compiler() -> Any:
    """What one test compiled is not the next one's."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


SMALL = {
    "scnn": ["model=scnn", "model.filters=[4,6]", "model.fc_units=[12]"],
    "smlp": ["model=smlp", "model.units=[12]"],
}


def network(*said: str) -> nn.Module:
    """A network as a run builds it."""
    return assembly.build_learner(configured(*said)).model


def gradients(model: nn.Module, framework: Any, x: Tensor) -> list[Tensor]:
    """The outputs, and the gradient of every parameter, of a training step."""
    model.zero_grad()
    outputs = framework(model, x)
    (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
    return [outputs.detach(), *(each.grad for each in model.parameters() if each.grad is not None)]


@pytest.mark.parametrize("name", ["smlp", "scnn"])
@pytest.mark.parametrize("framework", list(FRAMEWORKS))
def test_a_compiled_step_is_the_step_as_written(framework: str, name: str) -> None:
    written, backend = network(*SMALL[name]), Counting()
    compiled = copy.deepcopy(written)
    compile_training(compiled, backend)
    x = torch.randn(5, *DIGITS)
    pairs = zip(*(gradients(each, FRAMEWORKS[framework](4), x) for each in (written, compiled)), strict=True)
    for expected, found in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert backend.runs
    if framework == "multistep":
        assert backend.graphs == 1
    assert [*compiled.state_dict()] == [*written.state_dict()]
    for key, value in written.state_dict().items():  # batch norm's statistics too
        torch.testing.assert_close(compiled.state_dict()[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("register", ["register_forward_hook", "register_full_backward_hook"])
def test_evaluation_and_hooks_run_as_written(register: str, caplog: pytest.LogCaptureFixture) -> None:
    model, backend, seen = network(*SMALL["smlp"]), Counting(), []
    compile_training(model, backend)
    framework, x = MultiStep(3), torch.randn(2, *DIGITS)
    framework(model.eval(), x)
    assert not backend.runs
    framework(model.train(), x)
    once = backend.runs
    assert once
    layer = next(each for each in model.modules() if isinstance(each, nn.Linear))
    handle = getattr(layer, register)(lambda *_: seen.append(1))
    with caplog.at_level(logging.WARNING):
        framework(model, x).sum().backward()
        framework(model, x).sum().backward()
    assert backend.runs == once
    assert len(seen) == 2
    assert [each.message for each in caplog.records if each.name == "membrane.fast.torch_compile"] == [
        "trainer.compile: hooks listen to layers, such steps run as written"
    ]
    handle.remove()
    framework(model, x)
    assert backend.runs > once


def test_a_copy_goes_its_own_way() -> None:
    model = network(*SMALL["smlp"])
    compile_training(model, Counting())
    averaged = copy.deepcopy(model)
    for parameter in averaged.parameters():
        parameter.data.zero_()
    framework, x = MultiStep(3), torch.randn(2, *DIGITS)
    for training in (True, False):
        assert not framework(averaged.train(training), x).any()
    assert framework(model.train(), x).any()


def test_images_lie_channels_last_where_that_is_said() -> None:
    plain, last = network(*SMALL["scnn"]), network(*SMALL["scnn"], "trainer.channels_last=true")
    convs = [each for each in last.modules() if isinstance(each, nn.Conv2d)]
    assert convs
    assert all(each.weight.is_contiguous(memory_format=torch.channels_last) for each in convs)
    x = torch.randn(3, *DIGITS)
    for framework in (SingleStep(4), MultiStep(4)):
        torch.testing.assert_close(framework(last.eval(), x), framework(plain.eval(), x), rtol=0, atol=1e-5)


@torch._dynamo.config.patch(recompile_limit=3)  # of torch 2.11.0; eight as it comes
def test_more_sizes_than_the_compiler_takes_are_no_silent_fallback() -> None:
    for _ in range(2):  # what one run has compiled does not count for the next
        model, backend = network(*SMALL["smlp"]), Counting()
        compile_training(model, backend)
        for timesteps in range(2, 5):
            MultiStep(timesteps)(model, torch.randn(2, *DIGITS))
        assert backend.graphs == 3
    with pytest.raises(ConfigError, match=r"trainer\.compile: .* use framework=multistep or trainer\.compile=false"):
        MultiStep(5)(model, torch.randn(2, *DIGITS))


def test_a_run_trains_compiled_where_that_is_said(
    small: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Counting()
    monkeypatch.setattr(assembly, "compile_training", partial(compile_training, backend=backend))
    said = ("trainer.compile=true", "callbacks=ema", "precision=bf16-mixed")
    assert small(*said) == 0
    assert backend.graphs == 2  # whole batches, and the rest of an epoch
    [provenance] = tmp_path.glob("runs/digits/*/seed0/provenance.json")
    assert "in training the model is compiled by torch" in json.loads(provenance.read_text())["kernels"]
    assert small("seed=1") == 0
    assert backend.graphs == 2


@pytest.mark.parametrize("said", ["regularizer=firing_rate", "trainer=profile"])
def test_what_listens_to_layers_is_refused(said: str) -> None:
    with pytest.raises(ConfigError, match=r"layers, which a compiled model has not: use trainer\.compile=false"):
        configured(said, "trainer.compile=true")


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "name"), [("multistep", "scnn"), ("singlestep", "smlp")])
def test_torch_compiles_a_whole_training_step(framework: str, name: str) -> None:
    written = network(*SMALL[name])
    compiled = copy.deepcopy(written)
    compile_training(compiled)
    for samples in (6, 5):  # the last batch of an epoch is smaller
        x = torch.randn(samples, *DIGITS)
        pairs = zip(*(gradients(each, FRAMEWORKS[framework](4), x) for each in (written, compiled)), strict=True)
        for expected, found in pairs:
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


class OnGPU:
    """A parameter, as far as the choice of the optimiser's kernels looks at it."""

    is_cuda = True


class Holding(nn.Module):
    """A module with these parameters."""

    def __init__(self, *parameters: Any) -> None:
        super().__init__()
        self.parameters = lambda recurse=True: iter(parameters)  # type: ignore[method-assign]


@pytest.mark.parametrize(("choice", "kernels"), [("adamw", {"fused": True}), ("sgd", {"fused": True}), ("rmsprop", {})])
def test_optimisers_are_fused_on_a_gpu_where_torch_has_them_so(
    choice: str, kernels: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, clipped = (configured(f"optimizer={choice}", *more) for more in ([], ["trainer.clip_norm=1"]))
    on_cpu = optimizers.build_optimizer(config, nn.Linear(1, 1))
    assert not on_cpu.defaults.get("fused")
    handed: list[dict[str, Any]] = []
    monkeypatch.setattr(optimizers, "build_instance", lambda base, node, trust, params, **more: handed.append(more))
    optimizers.build_optimizer(config, Holding(OnGPU(), OnGPU()))
    optimizers.build_optimizer(config, Holding(OnGPU(), nn.Parameter(torch.zeros(1))))
    optimizers.build_optimizer(clipped, Holding(OnGPU()))
    assert handed == [kernels, {}, {}]


def test_each_run_says_whether_linear_layers_multiply_in_tf32(small: Callable[..., int]) -> None:
    for said, expected in (("trainer.tf32=true", True), ("seed=1", False)):
        assert small(said) == 0
        assert torch.backends.cuda.matmul.allow_tf32 is expected


@pytest.fixture
def compiler_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty cache and temporary folders, and an environment that names none of the compiler's."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "set, so that it is restored")
        monkeypatch.delenv(name)
    return tmp_path.resolve() / "membrane" / "torch"


def test_torch_keeps_compiled_code_in_folders_of_the_persons_own(compiler_caches: Path) -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir, default_cache_dir, triton_cache_dir

    model = network(*SMALL["smlp"])
    compile_training(model, backend=Counting())
    MultiStep(2)(model.train(), torch.rand(2, *DIGITS))
    assert Path(cache_dir()) == compiler_caches
    assert Path(triton_cache_dir(0)) == compiler_caches / "triton"
    headers = Path(default_cache_dir())  # for which the environment has no name
    assert headers.parent == Path(tempfile.gettempdir())
    assert [folder.stat().st_mode & 0o777 for folder in (compiler_caches, headers)] == [0o700, 0o700]


def test_a_compilers_folder_that_the_environment_names_is_left(
    compiler_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    set_compiler_cache()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    assert not compiler_caches.exists()


def test_where_nothing_can_be_kept_the_compiler_has_a_folder_for_this_process(
    compiler_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler_caches.parent.mkdir()
    compiler_caches.parent.chmod(0o777)
    removed: list[Any] = []
    monkeypatch.setattr("atexit.register", lambda function, folder, **options: removed.append(folder))
    set_compiler_cache()
    folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert removed == [folder]
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("victim", ["", "torchinductor_me"])
def test_where_others_could_put_code_for_the_compiler_nothing_is_compiled(
    victim: str, compiler_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    folder = Path(tempfile.gettempdir(), victim)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match=rf"^trainer.compile: others may write into {folder}: .* let TMPDIR name"):
        set_compiler_cache()
