"""Data sets of colour images."""

from typing import Any

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.dataset import Dataset


class CIFAR10(Dataset):
    choice = "cifar10"
    public = "membrane.data.cifar.CIFAR10"


class CIFAR10Mini(Dataset):
    choice = "cifar10_mini"
    public = "membrane.data.cifar.CIFAR10Mini"


class CIFAR100(Dataset):
    choice = "cifar100"
    public = "membrane.data.cifar.CIFAR100"


class EuroSAT(Dataset):
    choice = "eurosat"
    public = "membrane.data.eurosat.EuroSAT"


class GTSRB(Dataset):
    """Traffic signs, scaled to ``size`` pixels a side, from which ``shape`` follows."""

    choice = "gtsrb"
    public = "membrane.data.gtsrb.GTSRB"
    shape: list[PositiveInt] = Field(default=[], max_length=3)
    size: PositiveInt = 32

    @model_validator(mode="before")
    @classmethod
    def shape_follows_from_size(cls, values: Any) -> Any:
        """Fill in the shape of a picture. Reject any other."""
        size = values.get("size", 32) if isinstance(values, dict) else None
        if type(size) is not int or size < 1:
            return values  # refused as a setting of another type
        shape = [3, size, size]
        if values.get("shape", shape) != shape:
            raise ValueError(f"shape follows from size={size}: leave dataset.shape out, it is {shape}")
        return {**values, "shape": shape}


IMAGE_DATASETS = (CIFAR10, CIFAR10Mini, CIFAR100, EuroSAT, GTSRB)
