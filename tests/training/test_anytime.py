"""One pass over T against a test at each T′, and what is measured in turn or refused because the two differ."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import evaluate
from configurations import configured

from membrane.data.feed.module import DataModule
from membrane.errors import ConfigError
from membrane.learner import Learner
from membrane.schema import Config
from membrane.training import anytime
from membrane.training.anytime import (
    collected_outputs,
    early_exits,
    prefix_reasons,
    prefix_scores,
    rebinned_line,
    refuse_single_answer,
)
from membrane.training.assembly import build_data, build_learner, build_trainer
from membrane.training.evaluation import CheckpointTest

TINY = ("logger=csv", "model=smlp", "model.units=[8]", "threads=1", "batch_size=4")
EVENTS = (*TINY, "dataset=digits_events", "framework=multistep_tid")
STATIC_TID = (*TINY, "framework=multistep_tid", "dataset=arrays")


@pytest.fixture
def arrays(tmp_path: Path) -> str:
    """Signals of 12 samples, 10 of them to test."""
    generator = np.random.default_rng(0)
    parts = {part: generator.random((n, 12, 2), np.float32) for part, n in (("train", 20), ("test", 10))}
    labels = {part: np.arange(len(x)) % 3 for part, x in parts.items()}
    path = tmp_path / "signals.npz"
    np.savez(path, **{f"x_{p}": x for p, x in parts.items()}, **{f"y_{p}": y for p, y in labels.items()})
    return f"dataset.path={path}"


@pytest.fixture
def sequences(tmp_path: Path) -> str:
    """Sequences of up to 5 timesteps; `shortened` cuts all of them."""
    save_sequences(tmp_path / "sequences.npz", 5)
    return f"dataset.path={tmp_path / 'sequences.npz'}"


def save_sequences(path: Path, steps: int) -> None:
    generator = np.random.default_rng(0)
    columns = {}
    for part, n in (("train", 20), ("test", 10)):
        columns[f"x_{part}"] = generator.random((n, 5, 6, 2), np.float32)[:, :steps] * 3
        columns[f"y_{part}"] = np.arange(n) % 3
        columns[f"length_{part}"] = np.minimum(1 + np.arange(n) % 5, steps)
    np.savez(path, **columns)


def built(*typed: str, weights: Learner | None = None) -> tuple[Learner, DataModule]:
    """A learner, with another's weights if there is one, and its data."""
    config = configured(*typed)
    learner = build_learner(config)
    if weights is not None:
        learner.load_state_dict(weights.state_dict())
    data = build_data(config, learner)
    data.setup()
    return learner, data


def scores_of_test(learner: Learner, data: DataModule, folder: Path, *typed: str) -> dict[str, float]:
    """The usual test's scores."""
    trainer = build_trainer(configured(*typed), folder)
    trainer.test(learner, datamodule=data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def require_equal_to_each(folder: Path, typed: tuple[str, ...], steps: int, at: list[tuple[str, ...]]) -> None:
    """Compare the curve of one pass over T with a test under each of other command lines, those of 1 to T."""
    typed = (*typed, f"timesteps={steps}")
    learner, data = built(*typed)
    assert prefix_reasons(learner.eval(), configured(*typed), data) == ("", "")
    learner.collect_outputs = "all"
    scores_of_test(learner, data, folder, *typed)
    curve = prefix_scores(learner, collected_outputs(learner, data.parts["test"]), 4)
    assert curve["timesteps"] == list(range(1, steps + 1))
    for row, line in enumerate(at):
        alone, same = built(*line, weights=learner)
        scores = scores_of_test(alone, same, folder, *line)
        assert {"test/loss", "test/acc", "test/f1"} <= scores.keys()
        for name, value in scores.items():
            assert curve[name][row] == pytest.approx(value, abs=1e-6), (name, line)
        output = torch.cat([batch["output"] for batch in alone.collected])
        confident = float(output.double().softmax(1).amax(1).mean())
        assert curve["test/confidence"][row] == pytest.approx(confident, abs=1e-6)


@pytest.mark.parametrize(
    "further",
    [
        ("framework=multistep", "loss=tet"),
        ("framework=singlestep", "readout=membrane"),
        ("framework=multistep_tid", "encoder=rate"),
        ("framework=singlestep_tid", "encoder=phase"),
        ("framework=multistep", "neuron=sliding_psn", "readout=sum"),
    ],
)
def test_one_pass_gives_what_each_number_of_timesteps_gives(
    further: tuple[str, ...], arrays: str, tmp_path: Path
) -> None:
    typed = (*TINY, "dataset=arrays", arrays, *further)
    require_equal_to_each(tmp_path, typed, 3, [(*typed, f"timesteps={steps}") for steps in (1, 2, 3)])


def test_one_pass_gives_what_sequences_give_that_are_cut(sequences: str, tmp_path: Path) -> None:
    typed = (*STATIC_TID, "dataset.timesteps_in_data=true")
    cut = []
    for steps in range(1, 6):
        save_sequences(tmp_path / f"{steps}.npz", steps)
        cut.append((*typed, f"dataset.path={tmp_path / str(steps)}.npz"))
    learner_line = (*typed, sequences)
    require_equal_to_each(tmp_path, learner_line, 5, cut)


def test_one_pass_gives_what_fewer_frames_of_a_duration_give(tmp_path: Path) -> None:
    typed = (*EVENTS, "dataset.duration=90000", "batch_size=200")
    require_equal_to_each_event(tmp_path, typed)


def require_equal_to_each_event(folder: Path, typed: tuple[str, ...]) -> None:
    """As `require_equal_to_each` at two numbers of timesteps: to record the digits takes a second each time."""
    learner, data = built(*typed, "timesteps=4")
    learner.collect_outputs = "all"
    scores_of_test(learner, data, folder, *typed, "timesteps=4")
    assert (data.parts["test"].lengths == 4).all()  # the last saccade ends in the fourth frame
    curve = prefix_scores(learner, collected_outputs(learner, data.parts["test"]), 200)
    scores = scores_of_test(*built(*typed, "timesteps=2", weights=learner), folder, *typed, "timesteps=2")
    for name, value in scores.items():
        assert curve[name][1] == pytest.approx(value, abs=1e-6), name


def test_mixing_timesteps_is_found_out_and_said(arrays: str) -> None:
    cases = [("psn", True), ("masked_psn neuron.lambda_init=0.5", True), ("masked_psn neuron.lambda_init=1", False)]
    for neuron, mixes in [*cases, ("lif", False)]:
        typed = (*TINY, "dataset=arrays", arrays, "dataset.scale=20", *f"neuron={neuron} timesteps=4".split())
        learner, data = built(*typed)
        mixing, other = prefix_reasons(learner.eval(), configured(*typed), data)
        assert bool(mixing) == mixes, neuron
        assert other == ""


def test_a_layer_that_mixes_timesteps_is_found_out_by_what_it_does(arrays: str) -> None:
    typed = (*TINY, "dataset=arrays", arrays, "dataset.scale=20", "timesteps=4")
    learner, data = built(*typed)
    learner.eval().model = torch.nn.Sequential(learner.model, CentredOverTime())
    assert "mixes timesteps" in prefix_reasons(learner, configured(*typed), data)[0]


class CentredOverTime(torch.nn.Module):
    """[T,N,K] → [T,N,K] minus the mean over T."""

    step_mode = "m"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


def test_encoders_that_depend_on_t_are_found_out_and_said(arrays: str) -> None:
    for encoder, depends in (("latency", True), ("chunks", True), ("delta", True), ("phase", False), ("rate", False)):
        typed = (*STATIC_TID, arrays, f"encoder={encoder}", "timesteps=4")
        learner, data = built(*typed)
        mixing, other = prefix_reasons(learner.eval(), configured(*typed), data)
        assert mixing == ""
        assert other == (f"encoder={encoder} gives other inputs for another T" if depends else "")


def test_data_that_are_put_into_t_frames_are_told_from_those_of_a_duration() -> None:
    def why(*further: str) -> str:
        return rebinned_line(configured(*EVENTS, *further))

    assert why() == "dataset digits_events puts all events into T frames, whatever T is"
    assert why("dataset.frames=8", "timesteps=4") == ""
    assert why("dataset.duration=10000") == ""
    assert why("dataset.duration=10000", "dataset.samples=all").endswith("cuts its recordings into samples of T frames")
    sound = ("dataset=fsdd", "dataset.form=timesteps", "framework=multistep_tid")
    assert "puts all of a recording into T timesteps" in rebinned_line(configured("logger=csv", *sound))
    assert rebinned_line(configured("logger=csv", "dataset=fsdd")) == ""


def test_in_turn_what_is_refused_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def test_at(steps: int) -> CheckpointTest:
        output = np.array([[0.0, float(steps)]])
        return CheckpointTest({"acc": steps / 10}, {"output": output}, Path("best.ckpt"), 0, 1, 1, 1)

    def measured(checkpoint: Path, config: Config) -> tuple[CheckpointTest, dict[str, float]]:
        if config.timesteps == 1:
            raise ConfigError("two timesteps at least")
        return test_at(config.timesteps), {}

    monkeypatch.setattr(anytime, "measure_checkpoint", measured)
    config = configured(*EVENTS, "timesteps=3")
    at = lambda steps: config.model_copy(update={"timesteps": steps})  # noqa: E731
    curve = anytime.scores_in_turn(Path("best.ckpt"), config, at, test_at(3), "why")
    assert (curve["timesteps"], curve["test/acc"]) == ([2, 3], [0.2, 0.3])
    assert curve["test/confidence"] == pytest.approx([1 / (1 + math.exp(-steps)) for steps in (2, 3)])
    with pytest.raises(ConfigError, match="why, and all other numbers of timesteps are refused: two timesteps"):
        anytime.scores_in_turn(Path("best.ckpt"), at(2), at, test_at(2), "why")


def test_what_answers_once_is_refused(arrays: str) -> None:
    for further, why in ((("timesteps=1",), "T is 1 here"), (("neuron=relu",), "answers in one pass")):
        config = configured(*TINY, "dataset=arrays", arrays, *further)
        with pytest.raises(ConfigError, match=why):
            refuse_single_answer(config, build_learner(config))


def test_the_threshold_is_of_the_part_that_chooses_alone(arrays: str, tmp_path: Path) -> None:
    typed = (*TINY, "dataset=arrays", arrays, "timesteps=3")
    learner, data = built(*typed)
    learner.collect_outputs = "all"
    scores_of_test(learner, data, tmp_path, *typed)
    test = collected_outputs(learner, data.parts["test"])
    others = replace(test, y=(test.y + 1) % 3)
    first, second = (early_exits(learner, test, measured, "val") for measured in (test, others))
    assert first["chosen"] == second["chosen"]
    assert first["curve"] == second["curve"]
    assert first["test"] == first["chosen"]
    assert second["test"] != first["test"]
    assert second["test"]["passes"] == first["test"]["passes"]


def test_a_run_is_measured_at_all_numbers_of_timesteps(small_runs: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(next(small_runs.glob("digits/*/seed0")), tmp_path / "copy"))
    assert evaluate([str(run), "timesteps=1..3"]) == 0
    assert evaluate([str(run), "timesteps=1,2,3"]) == 0
    written = [json.loads(path.read_text()) for path in sorted((run / "evaluations").glob("*.json"))]
    [spanned] = [each for each in written if each["what"] == "anytime"]
    alone = {each["config"]["timesteps"]: each["metrics"] for each in written if each["what"] == "test"}
    assert spanned["overrides"] == ["timesteps=1..3"]
    assert spanned["curve"]["timesteps"] == [1, 2, 3]
    for row, steps in enumerate((1, 2, 3)):
        for name, value in alone[steps].items():
            assert spanned["curve"][name][row] == pytest.approx(value, abs=1e-6)
    assert spanned["early_exit"]["part"] == "val"
    assert spanned["early_exit"]["samples"] == 216
    assert spanned["metrics"]["test/acc_early_exit"] == spanned["early_exit"]["test"]["acc"]
    assert spanned["early_exit"]["test_never"]["acc"] == pytest.approx(alone[3]["test/acc"], abs=1e-6)


def test_a_span_begins_at_one_and_says_all(small_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(next(small_runs.glob("digits/*/seed0")))
    for typed, why in (
        (["timesteps=2..T"], "expected 1..T"),
        (["timesteps=1..0"], "expected 1..T"),
        (["timesteps=1..4", "timesteps=2"], "says all of the timesteps"),
    ):
        assert evaluate([run, *typed]) == 2
        assert why in capsys.readouterr().err
