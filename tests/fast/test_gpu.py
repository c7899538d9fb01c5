"""On a GPU: the function that the CPU computes, runs that repeat themselves, and no training step that waits for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.learner import Learner
from membrane.schema import Config
from membrane.sweep.jobs import jobs_of
from membrane.training import checkpoints
from membrane.training.assembly import build_data, build_learner, build_trainer, set_arithmetic

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

ON_GPU = ("trainer=gpu", "trainer.compile=false", "logger=csv")
WAITS = ("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""What of CUDA's runtime makes the processor wait, by the names in a profile."""
FIRST, LAST = 5, 15  # steps that are looked at: the first ones choose algorithms and allocate


def configuration(*said: str) -> Config:
    """The default configuration, but for what is said."""
    composer = Composer()
    [job], _ = jobs_of(composer, composer.add_or_override(said), multirun=False)
    return check(resolved(job.config))


class Marked(L.Callback):
    """Marks some steps in a profile, the way to the next batch included."""

    def __init__(self) -> None:
        self.mark = record_function("steps")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == FIRST:
            self.mark.__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == LAST:
            self.mark.__exit__(None, None, None)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("said", [(), ("neuron=plif", "augmentation=shift"), ("framework=singlestep",)])
def test_no_step_waits_for_the_gpu(said: tuple[str, ...], compiled: bool, tmp_path: Path) -> None:
    config = configuration(*ON_GPU, f"trainer.compile={str(compiled).lower()}", "epochs=1", "protocol=last", *said)
    set_arithmetic(config)
    learner = build_learner(config)
    data = build_data(config, learner)
    data.setup()
    learner.augmentation.fit(data.training_part.valid_x(), data.training_part.scale)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True) as profiled:
        build_trainer(config, tmp_path, [Marked()]).fit(learner, datamodule=data)
    events = profiled.events()
    [steps] = [each for each in events if each.name == "steps" and each.device_type == DeviceType.CPU]
    within = [each.name for each in events if steps.time_range.start <= each.time_range.start <= steps.time_range.end]
    assert sum(name.startswith("cudaLaunchKernel") for name in within) > LAST - FIRST
    assert [name for name in within if name in WAITS] == []


def settled(learner: Learner) -> Learner:
    """In eval mode, with weights that make it spike and statistics that it has measured."""
    for module in learner.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 2.0, 0.3)
            module.momentum = None  # statistics are means over all forwards
    with torch.no_grad():
        for _ in range(5):
            learner.train()(torch.rand(8, 1, 8, 8, dtype=torch.float64))
    return learner.eval()


@pytest.mark.parametrize("framework", ["singlestep", "multistep"])
@pytest.mark.parametrize("said", [("model=scnn", "model.filters=[4,6]"), ("model=sew_resnet", "neuron=plif")])
def test_a_gpu_computes_what_the_cpu_does(said: tuple[str, ...], framework: str) -> None:
    learner = settled(build_learner(configuration(*said, f"framework={framework}")).double())
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = learner(x)
        found = learner.cuda()(x.cuda())
    assert expected.std(0).any(), "the neurons fire, or all samples would be the head's bias"
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-9, atol=1e-9)


def test_a_run_on_a_gpu_repeats_itself_to_the_bit(membrane: Callable[..., int]) -> None:
    for name in ("once", "again"):
        assert membrane(*ON_GPU, "epochs=3", f"name={name}") == 0
    once, again = (next(Path("runs").glob(f"{name}/*/seed0")) for name in ("once", "again"))
    assert json.loads((once / "result.json").read_text())["metrics"]["test/acc"] > 0.8
    kept = [checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (once, again)]
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
