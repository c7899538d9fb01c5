"""The validation part, cut from the training data: the same for every seed of an experiment."""

import hashlib

import numpy as np
import torch
from torch import Tensor

from membrane.data.feed.groups import VALIDATES, Cut, draw_groups, in_order_of_key
from membrane.errors import ConfigError
from membrane.randomness import derive


def stratified(
    labels: Tensor, fraction: float, seed: int, groups: Tensor | None = None, cut: Cut = VALIDATES
) -> tuple[Tensor, Tensor]:
    """Split labels [n] into sorted int64 indices (train, validation); validation has round(fraction·n) samples.

    Every class is within one sample of its share (largest remainders get the extra samples), and keeps at least one
    sample for training, so that the validation part is smaller if classes are tiny. Samples of the same number in
    ``groups`` [n] are not divided: size and shares are then as close as whole groups allow (`draw_groups`). The result
    depends on the arguments alone: the order within a class comes from raw PCG64 output, which NumPy promises not to
    change. Raises ConfigError, in the words of the ``cut``, unless the fraction is between 0 and 1 and leaves samples
    for both parts.
    """
    if labels.ndim != 1:
        raise ValueError(f"expected one label a sample, [n], but got {list(labels.shape)}")
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"the {cut.part} fraction must lie between 0 and 1 (exclusive), not {fraction}")
    _, classes, counts = np.unique(labels.cpu().numpy(), return_inverse=True, return_counts=True)
    taken = allot(counts, fraction)
    if not taken.any():
        raise ConfigError(
            f"a {cut.part} fraction of {fraction} of {len(labels)} samples is empty: use a larger {cut.setting}, "
            f"or {cut.without}"
        )
    keys = np.random.PCG64(derive(seed, "split")).random_raw(len(labels))
    if groups is not None and len(numbers := in_order_of_key(groups.cpu().numpy(), keys)) > numbers.max() + 1:
        validation = draw_groups(classes, numbers, fraction, cut)[numbers]
        return torch.from_numpy(np.flatnonzero(~validation)), torch.from_numpy(np.flatnonzero(validation))
    order = np.lexsort((keys, classes))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    validation = np.zeros(len(order), dtype=bool)
    validation[order] = rank < np.repeat(taken, counts)
    return torch.from_numpy(np.flatnonzero(~validation)), torch.from_numpy(np.flatnonzero(validation))


def split_digest(*parts: Tensor) -> str:
    """Return the SHA-256 of the parts' indices, in their order: ``split_hash`` in result.json.

    The parts are training and validation, and the test part where it is cut from the same samples.
    """
    sha = hashlib.sha256()
    for part in parts:
        indices = part.cpu().numpy().astype("<i8")
        sha.update(f"{len(indices)}:".encode())
        sha.update(indices.tobytes())
    return sha.hexdigest()


def allot(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Allot validation samples to classes [K] → [K]: the floor of each share, and one more by largest remainder."""
    share = counts * fraction
    taken = np.floor(share).astype(np.int64)
    remainder = np.where(taken < counts - 1, share - taken, -1.0)
    missing = round(float(counts.sum() * fraction)) - int(taken.sum())
    extra = np.argsort(-remainder, kind="stable")[: max(missing, 0)]
    extra = extra[remainder[extra] > 0.0]
    taken[extra] += 1
    return taken
