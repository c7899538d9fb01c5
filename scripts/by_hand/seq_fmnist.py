"""Sequential Fashion-MNIST written by hand with SpikingJelly, the recipe of `experiment=seq_fmnist/…`.

``python scripts/by_hand/seq_fmnist.py plain --seed 0 --data data --out plain_seed0.json``: trains a variant, prints the
test accuracy of every epoch, and writes the best, the last, the mean of the last ten, and the seconds. What is read is
what `membrane data fashion_mnist` fetches; nothing else of membrane is used.
"""

import argparse
import gzip
import json
import time
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

FILES = {True: "train", False: "t10k"}


def fire(detach_reset: bool = False) -> nn.Module:
    """Build an integrate-and-fire neuron with a hard reset."""
    return neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=detach_reset)


def network(variant: str) -> nn.Sequential:
    """Build 28 → 32 → 10: plain, with a synapse filter, or with linear feedback."""
    hidden: dict[str, list[nn.Module]] = {
        "plain": [fire()],
        "synapse": [fire(), layer.SynapseFilter(tau=2.0, learnable=True)],
        "feedback": [layer.LinearRecurrentContainer(fire(detach_reset=True), 32, 32, bias=True)],
    }
    net = nn.Sequential(layer.Linear(28, 32), *hidden[variant], layer.Linear(32, 10), fire())
    functional.set_step_mode(net, "m")
    return net


def read(folder: Path, train: bool) -> TensorDataset:
    """Return the images [n,28,28] in [0, 1] and the labels [n] of a part."""
    name = FILES[train]
    images = gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / f"{name}-labels-idx1-ubyte.gz").read_bytes())[8:]
    x = torch.from_numpy(np.frombuffer(images, np.uint8).reshape(-1, 28, 28).copy())
    return TensorDataset(x.float() / 255, torch.from_numpy(np.frombuffer(labels, np.uint8).astype(np.int64)))


def rates(net: nn.Module, x: Tensor) -> Tensor:
    """Show x [N,H,W] column by column and return the firing rates [N,10]."""
    functional.reset_net(net)
    outputs: Tensor = net(x.permute(2, 0, 1))
    return outputs.mean(0)


def train_epoch(net: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    """Train on every batch once."""
    net.train()
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(rates(net, x), nn.functional.one_hot(y, 10).float()).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(net: nn.Module, loader: DataLoader) -> float:
    """Return the share of samples that are classified rightly."""
    net.eval()
    right = sum(int((rates(net, x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)  # type: ignore[arg-type]  # a TensorDataset has a length


def main() -> None:
    """Train as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=("plain", "synapse", "feedback"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    parts = [read(options.data / "fashion_mnist", train) for train in (True, False)]
    training = DataLoader(parts[0], 256, shuffle=True, drop_last=True)
    test = DataLoader(parts[1], 256)
    net = network(options.variant)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    accuracies, start = [], time.monotonic()
    for epoch in range(options.epochs):
        train_epoch(net, training, optimizer)
        schedule.step()
        accuracies.append(accuracy(net, test))
        print(f"epoch {epoch}: {accuracies[-1]:.4f}, {time.monotonic() - start:.0f} s", flush=True)
    result = {
        "variant": options.variant,
        "seed": options.seed,
        "epochs": options.epochs,
        "threads": options.threads,
        "seconds": round(time.monotonic() - start, 1),
        "best": max(accuracies),
        "last": accuracies[-1],
        "mean_last10": mean(accuracies[-10:]),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
