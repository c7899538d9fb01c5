"""The loop over epochs that the trainings by hand share: images in, accuracies and times out."""

import gzip
import json
import platform
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

FILES = {True: "train", False: "t10k"}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: ``loss`` of x [N,28,28] and labels [N], ``scores`` [N,10] of x in evaluation."""

    net: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    scores: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    batch_size: int
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None


def argument_parser(description: str | None, epochs: int) -> ArgumentParser:
    """Return the parser of a script."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--amp", action="store_true", help="half precision, the loss scaled; overflows are left out")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data sets lie (default: data)")
    parser.add_argument("--out", type=Path, required=True, help="the file of accuracies, times and versions")
    return parser


def set_up(options: Namespace) -> None:
    """Set the number of threads and the seed, before a network is built."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)


def train(recipe: Recipe, options: Namespace, dataset: str, library: str, **settings: object) -> None:
    """Train, print the test accuracy of every epoch, and write what it gave with ``settings`` into ``options.out``."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    parts = [read_part(options.data / dataset, train) for train in (True, False)]
    training = DataLoader(parts[0], recipe.batch_size, shuffle=True, drop_last=True)
    test = DataLoader(parts[1], recipe.batch_size)
    scaler = torch.amp.GradScaler("cpu", enabled=options.amp)
    accuracies, start, cpu_start = [], time.monotonic(), time.process_time()
    for epoch in range(options.epochs):
        train_epoch(recipe, training, scaler)
        accuracies.append(accuracy(recipe, test))
        seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
        print(f"epoch {epoch}: {accuracies[-1]:.4f}, {seconds:.0f} s, of the processor {cpu_seconds:.0f} s", flush=True)
    result = {
        **settings,
        "seed": options.seed,
        "epochs": options.epochs,
        "threads": options.threads,
        **({"amp": True} if options.amp else {}),
        "seconds": round(seconds, 1),
        "cpu_seconds_per_epoch": round(cpu_seconds / options.epochs, 2),
        "cpu_seconds": round(time.process_time(), 1),  # from the start of the program
        "best": max(accuracies),
        "last": accuracies[-1],
        "mean_last10": mean(accuracies[-10:]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", library)}},
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def read_part(folder: Path, train: bool) -> TensorDataset:
    """Return the images [n,28,28] in [0, 1] and the labels [n] of a part, from the original files.

    Ends the program if they are not there.
    """
    files = [folder / f"{FILES[train]}-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")]
    for file in files:
        if not file.is_file():
            sys.exit(f"--data: {file} is missing; `membrane data {folder.name} paths.data={folder.parent}` fetches it")
    images, labels = (gzip.decompress(file.read_bytes())[begin:] for file, begin in zip(files, (16, 8), strict=True))
    x = torch.from_numpy(np.frombuffer(images, np.uint8).reshape(-1, 28, 28).copy())
    return TensorDataset(x.float() / 255, torch.from_numpy(np.frombuffer(labels, np.uint8).astype(np.int64)))


def train_epoch(recipe: Recipe, loader: DataLoader, scaler: torch.amp.GradScaler) -> None:
    """Train on every batch once, in half precision where the scaler is enabled."""
    recipe.net.train()
    for x, y in loader:
        recipe.optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16, enabled=scaler.is_enabled()):
            loss = recipe.loss(x, y)
        scaler.scale(loss).backward()
        scaler.step(recipe.optimizer)
        scaler.update()
    if recipe.schedule is not None:
        recipe.schedule.step()


@torch.no_grad()
def accuracy(recipe: Recipe, loader: DataLoader) -> float:
    """Return the share of samples that are classified rightly."""
    recipe.net.eval()
    right = sum(int((recipe.scores(x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)  # type: ignore[arg-type]  # a TensorDataset has a length
