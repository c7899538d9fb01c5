"""Metrics against scikit-learn and numpy, whole and in uneven batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from torch.nn import functional

from membrane import metrics
from membrane.metrics import BY_TASK, Classification, Regression
from membrane.scores import MONITORS


@given(st.integers(2, 12), st.integers(3, 60), st.integers(1, 17), st.integers(0, 10_000))
@settings(max_examples=25)
def test_uneven_batches_give_what_scikit_learn_says_of_the_whole(classes: int, n: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = torch.tensor(rng.normal(size=(n, classes)), dtype=torch.float32)
    y = torch.tensor(np.concatenate([np.arange(classes), rng.integers(0, classes, n)])[:n])
    judge = Classification(classes)
    for p, t in zip(prediction.split(size), y.split(size), strict=True):
        judge.update(p, t, functional.cross_entropy(p, t))
    found = {name: value.item() for name, value in judge.compute().items()}
    hard = prediction.argmax(1)
    assert found["loss"] == pytest.approx(functional.cross_entropy(prediction, y).item(), rel=1e-5)
    assert found["acc"] == pytest.approx(reference.accuracy_score(y, hard), abs=1e-6)
    macro = reference.precision_recall_fscore_support(y, hard, average="macro", zero_division=0)
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(macro[:3], abs=1e-6)
    if len(np.unique(y)) == classes:
        assert found["balanced_acc"] == pytest.approx(reference.balanced_accuracy_score(y, hard), abs=1e-6)
    if classes >= 10:
        expected = reference.top_k_accuracy_score(y, prediction, k=5, labels=np.arange(classes))
        assert found["top5"] == pytest.approx(expected, abs=1e-6)
    else:
        assert "top5" not in found


def test_scores_do_not_depend_on_how_many_batches_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = torch.Generator().manual_seed(0)
    prediction, y = torch.randn(50, 10, generator=draws), torch.randint(10, (50,), generator=draws)
    found = []
    for most in (1, 70, 10**6):
        monkeypatch.setattr(metrics, "MOST_KEPT", most)
        judge = Classification(10)
        judge.score_recordings()
        judge.update(prediction[:4], y[:4], torch.tensor(9.0), torch.arange(4))
        judge.reset()
        for start in range(0, 50, 4):
            batch = slice(start, start + 4)
            judge.update(prediction[batch], y[batch], torch.tensor(1.0), torch.arange(50)[batch])
        found.append(judge.compute())
    assert found[0] == found[1] == found[2]
    assert found[0]["acc"] == (prediction.argmax(1) == y).float().mean()


def test_a_short_last_batch_does_not_count_like_a_whole_one() -> None:
    judge = Classification(2)
    judge.update(torch.tensor([[1.0, 0.0]] * 9), torch.zeros(9, dtype=torch.long), torch.tensor(1.0))
    judge.update(torch.tensor([[1.0, 0.0]]), torch.ones(1, dtype=torch.long), torch.tensor(11.0))
    found = judge.compute()
    assert found["loss"].item() == pytest.approx(2.0)
    assert found["acc"].item() == pytest.approx(0.9)


def test_soft_labels_are_judged_by_their_largest_share_and_reset_forgets() -> None:
    judge = Classification(3)
    judge.update(torch.eye(3), torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9]]), torch.tensor(1.0))
    assert judge.compute()["acc"].item() == pytest.approx(2 / 3)
    judge.reset()
    judge.update(torch.eye(3), torch.arange(3), torch.tensor(0.0))
    assert judge.compute()["acc"].item() == 1


@given(st.integers(1, 4), st.integers(5, 60), st.integers(1, 17), st.integers(0, 10_000))
@settings(max_examples=25)
def test_regression_in_uneven_batches_is_what_numpy_says_of_the_whole(
    outputs: int, n: int, size: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(3, 2, size=(n, outputs)).astype(np.float32)
    prediction = (0.5 * y + rng.normal(size=y.shape)).astype(np.float32)
    judge = Regression(outputs)
    batches = zip(torch.from_numpy(prediction).split(size), torch.from_numpy(y).split(size), strict=True)
    for p, t in batches:
        judge.update(p, t, functional.smooth_l1_loss(p, t))
    found = {name: value.item() for name, value in judge.compute().items()}
    corr = np.mean([np.corrcoef(prediction[:, k], y[:, k])[0, 1] for k in range(outputs)])
    whole = functional.smooth_l1_loss(torch.from_numpy(prediction), torch.from_numpy(y)).item()
    mse, mae = ((prediction - y) ** 2).mean(), abs(prediction - y).mean()
    mape = reference.mean_absolute_percentage_error(y, prediction)
    assert list(found) == judge.names == ["loss", "mse", "mae", "mape", "corr"]
    assert list(found.values()) == pytest.approx([whole, mse, mae, mape, corr], rel=1e-4, abs=1e-4)
    assert judge.score(torch.from_numpy(prediction), torch.from_numpy(y)).mean().item() == pytest.approx(mae, rel=1e-5)


def test_a_constant_prediction_correlates_with_nothing_and_a_diverged_one_is_no_number() -> None:
    y = torch.tensor([[1.0], [2.0], [4.0]])
    judge = Regression(1)
    judge.update(torch.full((3, 1), 2.0), y, torch.tensor(5 / 3))
    assert {name: value.item() for name, value in judge.compute().items()} == pytest.approx(
        {"loss": 5 / 3, "mse": 5 / 3, "mae": 1.0, "mape": (1 + 0 + 2 / 4) / 3, "corr": 0.0}
    )
    judge.reset()
    judge.update(torch.tensor([[1.0], [torch.nan], [3.0]]), y, torch.tensor(torch.nan))
    assert all(value.isnan() for value in judge.compute().values())
    judge.reset()
    judge.update(-y, y, torch.tensor(0.0))
    assert judge.compute()["corr"].item() == pytest.approx(-1)


def test_a_target_of_zero_divides_by_a_millionth_and_drowns_the_others() -> None:
    judge = Regression(1)
    judge.update(torch.tensor([[0.5], [3.0], [1.0]]), torch.tensor([[0.0], [2.0], [-1e-9]]), torch.tensor(0.0))
    assert judge.compute()["mape"].item() == pytest.approx((0.5 / 1.17e-6 + 0.5 + 1 / 1.17e-6) / 3, rel=1e-6)


def test_half_precision_predictions_meet_targets_that_are_not_rounded() -> None:
    judge = Regression(1)
    y = torch.tensor([[1.001], [2.001]])  # in bfloat16 these are 1 and 2
    judge.update(torch.tensor([[1.0], [2.0]], dtype=torch.bfloat16), y, torch.tensor(0.0))
    assert judge.compute()["mae"].item() == pytest.approx(0.001, rel=1e-3)
    assert judge.score(torch.tensor([[1.0]], dtype=torch.bfloat16), y[:1]).item() == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("task", list(MONITORS))
def test_what_can_be_watched_is_what_is_measured(task: str) -> None:
    measures = BY_TASK[task](3)
    if isinstance(measures, Classification):
        measures.score_recordings()
    assert set(MONITORS[task]) == {f"val/{name}" for name in measures.names}


def test_a_loss_that_is_no_number_stays_to_be_seen() -> None:
    measures = Classification(2)
    for loss in (float("nan"), 1.0):
        measures.update(torch.eye(2), torch.tensor([0, 1]), torch.tensor(loss))
    assert torch.isnan(measures.compute()["loss"])
    measures.reset()
    measures.update(torch.eye(2), torch.tensor([0, 1]), torch.tensor(1.0))
    assert measures.compute()["loss"] == 1


def test_classes_that_do_not_occur_count_only_where_they_are_predicted() -> None:
    # labels 0, 1, 1, predicted 0, 1, 2 of four classes: recalls 1 and 1/2, and of class 2, which does not occur, 0/0
    measures = Classification(4)
    measures.update(torch.eye(4)[:3], torch.tensor([0, 1, 1]), torch.tensor(0.0))
    found = {name: value.item() for name, value in measures.compute().items()}
    assert found["balanced_acc"] == 0.75
    assert found["recall"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["precision"] == pytest.approx((1 + 1 + 0) / 3)
    assert found["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


@given(st.integers(2, 5), st.integers(1, 12), st.integers(1, 17), st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_recording_is_judged_by_the_mean_output_of_its_samples(
    classes: int, recordings: int, size: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, recordings)
    recording = rng.permutation(np.concatenate([np.arange(recordings), rng.integers(0, recordings, 30)]))
    prediction = (np.eye(classes)[label[recording]] + rng.normal(0, 2, (len(recording), classes))).astype(np.float32)
    measures = Classification(classes)
    measures.score_recordings()
    columns = [torch.from_numpy(each).split(size) for each in (prediction, label[recording], 7 * recording - 3)]
    for p, y, r in zip(*columns, strict=True):
        measures.update(p, y, torch.tensor(0.0), r)
    right = [prediction[recording == each].mean(0).argmax() == label[each] for each in range(recordings)]
    assert list(measures.compute()) == measures.names
    assert measures.compute()["acc_recording"].item() == pytest.approx(np.mean(right))
    measures.reset()
    measures.update(torch.eye(classes), torch.zeros(classes).long(), torch.tensor(0.0), torch.zeros(classes).long())
    assert measures.compute()["acc_recording"].item() == 1  # by a mean of equals, of which the first counts


def test_samples_that_are_mostly_wrong_make_a_recording_that_is_right() -> None:
    prediction = torch.tensor([[0.4, 0.6], [0.4, 0.6], [0.9, 0.1], [0.3, 0.7]])  # means [1.7, 1.3] / 3, [.3, .7]
    measures = Classification(2)
    measures.score_recordings()
    measures.update(prediction, torch.tensor([0, 0, 0, 0]), torch.tensor(0.0), torch.tensor([5, 5, 5, 2]))
    found = measures.compute()
    assert (found["acc"].item(), found["acc_recording"].item()) == (0.25, 0.5)
