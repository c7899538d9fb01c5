"""The whole trainings that are timed: a net on a data set, the same for membrane and by hand. Without torch."""

from dataclasses import dataclass, replace

from membrane.bench.workloads import Workload


@dataclass(frozen=True)
class Training:
    """Epochs over a data set, each with an evaluation on the test set.

    Arguments:
        net: what is trained, of which other libraries build their own.
        settings: of `membrane train`, which make the same net, batches and optimiser.
        epochs: that are timed.
        dataset: the name by which `membrane data` fetches it.
    """

    net: Workload
    settings: tuple[str, ...]
    epochs: int
    dataset: str

    @property
    def name(self) -> str:
        """Return W6, W7 or W8."""
        return self.net.name

    def shortened(self) -> "Training":
        """Return the same training with a single epoch, to try it out."""
        return replace(self, epochs=1)


PROTOCOL = ("protocol=paper_best_on_test", "augmentation=none", "scheduler=constant", "trainer.last_batch=keep")
"""The test set is read after each epoch, and nothing comes with it that the programs by hand have not."""
OPTIMIZER = ("optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9", "optimizer.weight_decay=0.0")
CHANNELS_LAST = "trainer.channels_last=true"
"""Of convolutional nets, which train faster so on the CPU; those by hand have torch's own order, as tutorials do."""
FORM = (*PROTOCOL, *OPTIMIZER, "neuron=lif", "surrogate=atan", "loss=cross_entropy")

TRAININGS = (
    Training(
        Workload(
            "W6",
            "sequential Fashion-MNIST: smlp 28-32-10, LIF, a column of the image a timestep",
            shape=(1, 28),
            classes=10,
            neuron="lif",
            timesteps=28,
            batch=256,
            units=(32,),
            in_data=True,
        ),
        (
            *("dataset=fashion_mnist", "encoder=lines", "encoder.axis=columns", "timesteps=28"),
            *("framework=multistep_tid", "model=smlp", "model.units=[32]", "batch_size=256", *FORM),
        ),
        epochs=2,
        dataset="fashion_mnist",
    ),
    Training(
        Workload(
            "W7",
            "digits: conv 32-P-64-P, FC 10, batch norm, LIF, image 1×8×8 repeated over T",
            shape=(1, 8, 8),
            classes=10,
            neuron="lif",
            timesteps=4,
            batch=64,
            filters=(32, 64),
            pools=(2, 2),
        ),
        (
            *("dataset=digits", "timesteps=4", "framework=multistep", "model=scnn", "batch_size=64"),
            *(CHANNELS_LAST, *FORM),
        ),
        epochs=10,
        dataset="digits",
    ),
    Training(
        Workload(
            "W8",
            "nmnist_subset: conv 32-P-64-P-64-P, FC 10, batch norm, LIF, events 2×34×34 at each timestep",
            shape=(2, 34, 34),
            classes=10,
            neuron="lif",
            timesteps=5,
            batch=32,
            filters=(32, 64, 64),
            pools=(2, 2, 2),
            in_data=True,
        ),
        (
            *("dataset=nmnist_subset", "timesteps=5", "framework=multistep_tid", "model=scnn"),
            *("model.filters=[32,64,64]", "batch_size=32", CHANNELS_LAST, *FORM),
        ),
        epochs=3,
        dataset="nmnist_subset",
    ),
)
TRAINING_NAMES = tuple(training.name for training in TRAININGS)
