"""A data set under a protocol: which samples train, validate and test, and when each part may be read."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from torch import Tensor

from membrane.data.feed.batch import Batch, batch_sizes, step_weights
from membrane.data.feed.buckets import bucketed
from membrane.data.feed.checking import Facts, check_parts, in_types_of_batches, load_parts
from membrane.data.feed.division import TEST_SHARE, VALIDATION, Division
from membrane.data.feed.loader import Batches
from membrane.data.feed.part import Part
from membrane.data.feed.workers import Workers
from membrane.data.samples import Samples, dataset_digest
from membrane.errors import ProtocolError
from membrane.randomness import generator

RATE_SAMPLES = 512


class DataSet(Protocol):
    """Reads a family of data; the test set is always the same."""

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train, test) or (train, validation, test), x [n,C,…] or, with timesteps in the data, [n,T,C,…]."""
        ...


class DataModule(L.LightningDataModule):
    """Batches of x [N,*shape] or [N,T,*shape] under a protocol.

    Arguments:
        dataset: reads (train, test), or (train, validation, test) if it has an official validation part.
        root: folder of the data, ``paths.data``.
        shape: [C,S] or [C,H,W] of a sample, without T.
        classes: K; in regression the number of targets of a sample.
        timesteps: T, with which the data set is read.
        timesteps_in_data: x is [n,T,*shape], not [n,*shape].
        task: ``classification`` (the default) or ``regression``; decides what y must be.
        protocol: ``val_best`` takes a share of the training data for validation, or the official part; ``last`` trains
            on both. They raise ProtocolError if the test set is read while fitting. ``paper_best_on_test`` trains on
            both too, and reads the test set after every epoch.
        batch_size: N, over all pieces.
        pieces: parts in which each training batch comes, more than 1 if the device cannot hold a whole one.
        last_batch: what becomes of a short last training batch: ``keep`` (the default), ``drop`` or ``join``.
        buckets: batches whose training samples are sorted by length, as in `bucketed`; each batch is cut to its
            longest sample. 1 cuts alone. None, the default: neither.
        seed: the run's seed; the order of an epoch comes from the stream (seed, ``order``, epoch).
        validation: share of the training data that ``val_best`` takes for validation, if there is no official part;
            0.15 by default. Whole recordings and groups are taken.
        split_seed: of the validation part. It is not the run's seed, so that all seeds share one split; 0 by default.
        fold: (k, n): the k-th of n folds validates, in place of a share; see `Division`. None, the default: no folds.
        leave_out: numbers of the groups that are the test part, in place of the official one. None: the official one.
        test_share: share of the samples that is the test part, if the data set has none; 0.2 by default.
        before: (batch, training, epoch, step) → batch, before the transfer to the device. None: x is already there.
        overfit: keep this many batches of the training part, which are also the validation part. None: all.
        workers: processes that build batches; 0, the default, is this process, which suffices for data in memory.
        worker_timeout: seconds to wait for a batch before its worker counts as hanging; 25, many times a slow batch.
    """

    def __init__(
        self,
        dataset: DataSet,
        *,
        root: Path,
        shape: Sequence[int],
        classes: int,
        timesteps: int,
        timesteps_in_data: bool,
        task: str = "classification",
        protocol: str,
        batch_size: int,
        pieces: int = 1,
        last_batch: str = "keep",
        buckets: int | None = None,
        seed: int,
        validation: float = VALIDATION,
        split_seed: int = 0,
        fold: tuple[int, int] | None = None,
        leave_out: Sequence[int] | None = None,
        test_share: float = TEST_SHARE,
        before: Callable[[Batch, bool, int, int], Batch] | None = None,
        overfit: int | None = None,
        workers: int = 0,
        worker_timeout: float = 25.0,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.root = root
        self.sample_shape = [timesteps, *shape] if timesteps_in_data else list(shape)
        self.timesteps_in_data = timesteps_in_data
        self.classes = classes
        self.task = task
        self.timesteps = timesteps
        self.protocol = protocol
        self.batch_size = batch_size
        self.pieces = pieces
        self.last_batch = last_batch
        self.buckets = buckets
        self.seed = seed
        self.divide = partial(
            Division,
            protocol=protocol,
            task=task,
            validation=validation,
            split_seed=split_seed,
            fold=fold,
            leave_out=leave_out,
            test_share=test_share,
            at_most=None if overfit is None else overfit * batch_size,
        )
        self.before = before
        self.workers = workers
        self.worker_timeout = worker_timeout
        self.division: Division
        self.parts: dict[str, Part] = {}
        self.moved: dict[int, Samples] = {}
        self.split_hash = ""
        self.data_hash = ""

    def setup(self, stage: str | None = None) -> None:
        """Read the data set, check it and divide it into parts, once."""
        if self.parts:
            return
        facts = Facts(self.sample_shape, self.classes, self.task, self.timesteps if self.timesteps_in_data else None)
        loaded = check_parts(load_parts(self.dataset, self.root, self.timesteps), facts)
        self.division = self.divide([in_types_of_batches(part) for part in loaded])
        self.split_hash, self.parts = self.division.split_hash, self.division.parts
        self.data_hash = dataset_digest(*loaded)

    @property
    def training_part(self) -> Part:
        """Return the training part, the only one from which statistics may be taken."""
        return self.part("train")

    def part(self, name: str) -> Part:
        """Return a part.

        Raises ProtocolError for the test set while fitting, if the protocol forbids it.
        """
        self.setup()
        if name == "test" and self.protocol != "paper_best_on_test" and self.fitting:
            raise ProtocolError(f"the test set may not be read while fitting under protocol={self.protocol}")
        return self.parts[name]

    @property
    def fitting(self) -> bool:
        """Return whether a trainer is fitting this data at the moment."""
        state: Any = getattr(self.trainer, "state", None)
        return state is not None and state.fn == "fit" and state.status == "running"

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to the device. Lightning's own method would search the batch for tensors, at every step."""
        asynchronous = device.type == "cuda"
        return Batch._make(
            column.to(device, non_blocking=asynchronous) if isinstance(column, Tensor) else column for column in batch
        )

    def epoch(self) -> int:
        """Return the trainer's epoch."""
        return int(getattr(self.trainer, "current_epoch", 0))

    def batches(self, name: str, training: bool = False, at_most: int | None = None) -> Batches:
        """Return the part as batches, on the device unless workers build them or ``before`` runs on the CPU."""
        part = self.part(name)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        workers = None
        if at_most is not None:
            part = part.take(torch.arange(min(at_most, len(part))))
        elif self.workers:
            workers = Workers(self.workers, self.worker_timeout, pinned=device.type == "cuda")
        before = self.before
        if before is None and workers is None:
            part = self.on(device, part)
        order = transform = None
        if training:
            order = partial(self.order, part)
        if before is not None:
            transform = lambda batch, epoch, step: before(batch, training, epoch, step)  # noqa: E731
        epoch = self.epoch if training else lambda: -1
        pieces, weigh, last = (self.pieces, self.weigh, self.last_batch) if training else (1, None, "keep")
        trim = training and self.buckets is not None
        return Batches(part, self.batch_size, order, transform, epoch, workers, pieces, weigh, last, trim)

    def order(self, part: Part, epoch: int) -> Tensor:
        """Return the order [n] of the training part's samples in an epoch."""
        order = torch.randperm(len(part), generator=generator(self.seed, "order", epoch))
        if self.buckets is None or part.lengths is None:
            return order
        sizes = batch_sizes(len(part), self.batch_size, self.last_batch)
        return bucketed(order, part.lengths.cpu(), sizes, self.buckets, generator(self.seed, "buckets", epoch))

    def on(self, device: torch.device, part: Part) -> Part:
        """Return the part with its data on the device, if they fit into a quarter of what is free there."""
        if device.type == "cpu":
            return part
        for source in part.sources:
            if id(source) not in self.moved:
                fits = device.type != "cuda" or source.x.nbytes <= torch.cuda.mem_get_info(device)[0] // 4
                self.moved[id(source)] = source.to(device) if fits else source
        return Part(tuple(self.moved[id(source)] for source in part.sources), part.index)

    def weigh(self, sizes: Sequence[int]) -> list[float]:
        """Return the weights of an epoch's training batches, grouped into steps as the trainer does.

        Batches that the trainer leaves out of every epoch, as in a debug run, are no part of a step.
        """
        if self.trainer is None:
            return [1.0] * len(sizes)
        count = int(min(len(sizes), self.trainer.num_training_batches))
        weights = step_weights(sizes[:count], self.trainer.accumulate_grad_batches)
        return weights + [1.0] * (len(sizes) - count)

    def train_dataloader(self) -> Batches:
        """Return the training part, in a new order every epoch."""
        return self.batches("train", training=True)

    def val_dataloader(self) -> Batches:
        """Return the part that is read after every epoch: the validation part, or by protocol the test set."""
        return self.batches("test" if self.protocol == "paper_best_on_test" else "val")

    def test_dataloader(self) -> Batches:
        """Return the test set."""
        return self.batches("test")

    def fixed_training_samples(self) -> Batches:
        """Return at most 512 samples of the training part, always the same, augmented as in evaluation."""
        return self.batches("train", at_most=RATE_SAMPLES)
