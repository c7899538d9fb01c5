"""Metrics against scikit-learn, whole and in uneven batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from torch.nn import functional

from membrane.metrics import Classification


@given(st.integers(2, 12), st.integers(3, 60), st.integers(1, 17), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
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
    if len(np.unique(y)) == classes:
        assert found["balanced_acc"] == pytest.approx(reference.balanced_accuracy_score(y, hard), abs=1e-6)
        expected = reference.f1_score(y, hard, average="macro", labels=np.arange(classes), zero_division=0)
        assert found["f1"] == pytest.approx(expected, abs=1e-6)
    if classes >= 10:
        expected = reference.top_k_accuracy_score(y, prediction, k=5, labels=np.arange(classes))
        assert found["top5"] == pytest.approx(expected, abs=1e-6)
    else:
        assert "top5" not in found


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
