"""The table of scores against what the metrics measure on good and bad predictions."""

import pytest
import torch

from membrane.metrics import BY_TASK
from membrane.scores import MONITORS, PRINCIPAL, SCORES, principal_score, score_of, score_text


def measured(task: str) -> tuple[dict[str, float], dict[str, float]]:
    """Every score of predictions that are right and of ones that are mostly wrong."""
    y = torch.arange(24) % 12 if task == "classification" else torch.randn(24, 12)
    right = torch.eye(12)[y] if task == "classification" else y
    wrong = torch.randn(24, 12, generator=torch.Generator().manual_seed(0))
    both = []
    for prediction in (right, wrong):
        metrics = BY_TASK[task](12)
        metrics.update(prediction, y, (prediction - right).square().mean())
        both.append({name: float(value) for name, value in metrics.compute().items()})
    return both[0], both[1]


@pytest.mark.parametrize("task", list(MONITORS))
def test_every_measured_score_is_in_the_table_with_its_direction_and_range(task: str) -> None:
    right, wrong = measured(task)
    assert PRINCIPAL[task] in right
    assert {key.removeprefix("val/") for key in MONITORS[task]} | {"top5"} >= set(right)
    for name in right:
        assert (right[name] < wrong[name]) is SCORES[name].lower_is_better, name
        in_percent = name == "mape" or (right[name] == pytest.approx(1) and name != "corr")
        assert in_percent is SCORES[name].percent, name


@pytest.mark.parametrize(
    ("key", "name", "shown"),
    [
        ("test/acc", "acc", "94.17 %"),
        ("acc_mean_last10", "acc", "94.17 %"),
        ("test/balanced_acc", "balanced_acc", "94.17 %"),
        ("test/acc_recording", "acc_recording", "94.17 %"),
        ("val/mape", "mape", "94.17 %"),
        ("test/mae_best_oracle", "mae", "0.9417"),
        ("val/loss", "loss", "0.9417"),
    ],
)
def test_a_key_names_its_score(key: str, name: str, shown: str) -> None:
    assert score_of(key) is SCORES[name]
    assert score_text(key, 0.94174) == shown


def test_an_unknown_score_is_a_plain_number() -> None:
    assert score_text("test/perplexity", 12.0) == "12.0000"
    assert not score_of("perplexity").lower_is_better


def test_a_run_is_known_by_its_tasks_score() -> None:
    assert principal_score({"val/acc": 0.5, "test/acc": 0.25, "test/loss": 1.0}) == ("test/acc", 0.25)
    assert principal_score({"test/mae": 2.0, "test/corr": 0.5}) == ("test/mae", 2.0)
    assert principal_score({"val/acc": 0.5}) is None
