"""``python -m membrane.bench.by_hand TASK``: a training in another library, as its tutorials write it.

A loader that shuffles tensors in memory, a loop over its batches, and after each epoch the accuracy on the test set.
"""

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from membrane.bench.peers import PEERS
from membrane.bench.peers.net import Net
from membrane.bench.trainings import TRAININGS, Training
from membrane.config.build import build
from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.data.samples import Samples
from membrane.schema import Config
from membrane.training.assembly import build_encoder


def data_by_hand(config: Config) -> tuple[TensorDataset, TensorDataset]:
    """Read the training and the test set as tensors of floats x [n,…] or [n,T,…] and labels y [n]."""
    encoder = build_encoder(config)

    def tensors(part: Samples) -> TensorDataset:
        x = part.x.float() * part.scale
        return TensorDataset(x if encoder is None else encoder.encode(x, {}), part.y)

    train, test = build(config.dataset, config.trust).load(Path(config.paths.data), timesteps=config.timesteps)
    return tensors(train), tensors(test)


def train_by_hand(net: Net, train: DataLoader[Any], test: DataLoader[Any], epochs: int) -> tuple[list[float], float]:
    """Train a net → the seconds of each epoch with its evaluation, and the last accuracy."""
    optimizer = torch.optim.SGD(net.module.parameters(), lr=0.05, momentum=0.9)
    seconds, accuracy = [], 0.0
    for _ in range(epochs):
        start = perf_counter()
        net.module.train()
        for x, y in train:
            loss = F.cross_entropy(outputs(net, x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        accuracy = evaluate_by_hand(net, test)
        seconds.append(perf_counter() - start)
    return seconds, accuracy


@torch.no_grad()
def evaluate_by_hand(net: Net, test: DataLoader[Any]) -> float:
    """Return the accuracy of a net on the test set."""
    net.module.eval()
    right, n = 0, 0
    for x, y in test:
        right += int((outputs(net, x).argmax(1) == y).sum())
        n += len(y)
    return right / n


def outputs(net: Net, x: Tensor) -> Tensor:
    """Return the mean output over time [N,K] of x [N,…] or [N,T,…]."""
    return net.forward(net.arrange(x)).mean(0)


def print_training(task: dict[str, Any]) -> None:
    """Train what a task names, and print the seconds of each epoch and the accuracy as JSON."""
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    [training] = [each for each in TRAININGS if each.name == task["training"]]
    [peer] = [each for each in PEERS if each.name == task["peer"]]
    train, test = data_by_hand(composed_training(training))
    net, batch = peer.build(training.net, torch.device("cpu")), training.net.batch
    loaders = DataLoader(train, batch, shuffle=True), DataLoader(test, batch)
    seconds, accuracy = train_by_hand(net, *loaders, task["epochs"])
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}))


def composed_training(training: Training) -> Config:
    """Return the configuration of a training in membrane."""
    composer = Composer()
    return check(resolved(composer.compose(composer.add_or_override(["logger=csv", *training.settings]))))


if __name__ == "__main__":
    print_training(json.loads(sys.argv[1]))
