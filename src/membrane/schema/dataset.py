"""Data sets: their facts, known before anything is read, and how they are split."""

from typing import Any, Literal

from pydantic import Field, PositiveInt

from membrane.schema.node import LATER, Count, Node, NotNegative, Positive


class Dataset(Node):
    """The facts of a data set; ``shape`` is that of one sample, or of one frame: [C,S] or [C,H,W].

    ``task`` says what a sample's y is: one of so many ``classes``, or, in regression, so many real numbers (there
    ``classes`` is the number of the model's outputs, and y is float [N,classes]). ``validation`` is the share of the
    training data that validates under ``val_best``, unless the data set has a validation part of its own.
    """

    name: str
    shape: list[PositiveInt] = Field(min_length=2, max_length=3)
    classes: PositiveInt
    task: Literal["classification", "regression"] = "classification"
    timesteps_in_data: bool = False
    split_seed: Count = 0
    validation: float = LATER(default=0.15, gt=0, lt=1)

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, without the facts that describe it and the split."""
        return {key: value for key, value in super().parameters().items() if key not in Dataset.model_fields}


class Digits(Dataset):
    choice = "digits"
    public = "membrane.data.digits.Digits"


class DigitsEvents(Dataset):
    choice = "digits_events"
    public = "membrane.data.saccades.DigitsEvents"
    split: Literal["time", "number", "time_spikingjelly", "number_spikingjelly"] = "time"
    size: PositiveInt = 16
    amplitude: NotNegative = 3.0
    fixation: NotNegative = 0.75
    threshold: Positive = 0.6
    mismatch: NotNegative = 0.1
    background: NotNegative = 0.5
    noise_seed: Count = 0


class MNIST(Dataset):
    choice = "mnist"
    public = "membrane.data.idx.MNIST"


class FashionMNIST(Dataset):
    choice = "fashion_mnist"
    public = "membrane.data.idx.FashionMNIST"


class Diabetes(Dataset):
    choice = "diabetes"
    public = "membrane.data.diabetes.Diabetes"


class UCIHAR(Dataset):
    choice = "uci_har"
    public = "membrane.data.uci_har.UCIHAR"


DATASETS = (Digits, DigitsEvents, MNIST, FashionMNIST, Diabetes, UCIHAR)
