"""Encoded data in whole runs: the same evaluation however it is cut into batches, and where the encoder's frames go."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from commands import evaluate
from configurations import configured
from rich.console import Console
from run_paths import only

import membrane as package
from membrane.analysis.layers import model_table
from membrane.data.digits import Digits
from membrane.learner import EVALUATION
from membrane.runs.saved import read_json
from membrane.training.assembly import build_data, build_learner, example_input

Run = Callable[..., int]
RATE = ("dataset=digits", "framework=multistep_tid", "encoder=rate", "timesteps=3")
ENCODED = (*RATE, "model=smlp", "model.units=[16]")


def evaluated(*changes: str) -> torch.Tensor:
    """The encoded test digits [n,T,…] in the order of the data set, as an evaluation's batches give them."""
    config = configured(*ENCODED, *changes)
    learner = build_learner(config)
    data = build_data(config, learner)
    seen = [learner.augmented(batch, False, EVALUATION, step) for step, batch in enumerate(data.test_dataloader())]
    index = torch.cat([batch.index for batch in seen])
    assert index.tolist() == list(range(len(index)))
    return torch.cat([batch.x for batch in seen])


def test_evaluation_is_the_same_for_every_batch_size_and_number_of_workers() -> None:
    whole = evaluated("batch_size=360")
    assert whole.shape == (360, 3, 1, 8, 8)
    assert torch.equal(evaluated("batch_size=7"), whole)
    assert torch.equal(evaluated("batch_size=50", "trainer.workers=2"), whole)
    assert not torch.equal(evaluated("seed=1"), whole)


def test_a_run_comes_back_under_other_batches_and_is_encoded_anew_with_other_timesteps(
    small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small(*ENCODED, "epochs=2") == 0
    run = only("digits/*/seed0")
    assert read_json(run / "result.json")["encoder"] == "rate"
    assert evaluate([str(run)]) == 0  # to the last digit
    assert evaluate([str(run), "timesteps=1,16", "batch_size=9"]) == 0
    found = [read_json(path) for path in sorted((run / "evaluations").glob("*.json"))]
    assert sorted(each["config"]["timesteps"] for each in found) == [1, 3, 16]
    assert len({each["metrics"]["test/loss"] for each in found}) == 3
    assert evaluate([str(run), "encoder=none"]) == 2
    assert "or encoder=rate" in capsys.readouterr().err

    learner = package.load(run)
    _, test = Digits().load(run, timesteps=3)
    with np.load(run / "outputs" / "test.npz") as saved, torch.no_grad():
        first, some = learner(test.x[:5]), torch.tensor([9, 200, 31])
        np.testing.assert_allclose(first, saved["output"][:5], rtol=1e-5, atol=1e-6)
        chosen = learner(test.x[some], index=some)
        np.testing.assert_allclose(chosen, saved["output"][some], rtol=1e-5, atol=1e-6)
        assert not np.allclose(learner(test.x[some]), saved["output"][some], rtol=1e-3)


def test_the_stem_runs_at_each_timestep_of_encoded_data() -> None:
    learners = [
        build_learner(configured(*RATE, "model.filters=[4]", f"trainer.stem_once={once}")).eval()
        for once in ("true", "false")
    ]
    convolved: list[torch.Tensor] = []
    learners[0].model.get_submodule("conv1").register_forward_hook(lambda _, __, output: convolved.append(output))
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = [each(x) for each in learners]
    torch.testing.assert_close(outputs[0], outputs[1])
    [currents] = convolved
    assert currents.shape[:2] == (3, 4)
    assert not any(torch.equal(currents[0], currents[t]) for t in (1, 2))


def test_the_model_is_built_for_the_encoders_frames() -> None:
    config = configured(
        "dataset=uci_har", "framework=multistep_tid", "encoder=delta", "timesteps=16", "model.filters=[4]"
    )
    learner = build_learner(config)
    assert learner.model.get_submodule("conv1").in_channels == 18  # on and off for each of nine
    assert example_input(config).shape == (2, 16, 18, 8)
    console = Console(width=120)
    with console.capture() as shown:
        console.print(model_table(learner.model, learner.framework, example_input(config)))
    assert "[16,N,4,8]" in shown.get()
    assert learner(torch.randn(5, 9, 128)).shape == (5, 6)


def test_an_encoder_draws_in_training_too_and_a_step_is_the_same_again() -> None:
    config = configured(*ENCODED)
    learner = build_learner(config)
    batch: Any = next(iter(build_data(config, learner).train_dataloader()))
    first, again, other = (learner.augmented(batch, True, 0, step).x for step in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first <= (batch.x > 0).unsqueeze(1)).all()  # what is 0 never spikes
