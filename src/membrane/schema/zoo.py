"""SpikingJelly's model zoo: its settings, and in one line what cannot be built."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.models.geometry import attention_fits, three_stages
from membrane.schema.model import Model
from membrane.schema.node import Count, Positive

Stem = Literal["imagenet", "cifar"]


class Zoo(Model):
    """A network for images; what is null follows their size."""

    ranks = (2,)


class SpikingVGG(Zoo):
    choice = "spiking_vgg"
    public = "membrane.models.spiking_vgg.SpikingVGG"
    depth: Literal[11, 13, 16, 19] = 11
    norm: Literal["batch", "none"] = "batch"
    head: Stem | None = None


class SpikingResNet(Zoo):
    choice = "spiking_resnet"
    public = "membrane.models.spiking_resnet.SpikingResNet"
    depth: Literal[18, 34, 50, 101, 152] = 18
    stem: Stem | None = None


class SEWResNet(Zoo):
    choice = "sew_resnet"
    public = "membrane.models.sew_resnet.SEWResNet"
    depth: Literal[18, 34, 50, 101, 152] = 18
    cnf: Literal["ADD", "AND", "IAND"] = "ADD"
    stem: Stem | None = None


class MSResNet(Zoo):
    choice = "ms_resnet"
    public = "membrane.models.ms_resnet.MSResNet"
    owns_time = True
    depth: Literal[18, 34] = 18
    channels: PositiveInt = 64
    stem: Stem | None = None


class PLIFNet(Zoo):
    choice = "plif_net"
    public = "membrane.models.plif_net.PLIFNet"
    variant: Literal["mnist", "fashion_mnist", "nmnist", "cifar10", "cifar10_dvs", "dvs_gesture"] = "mnist"
    channels: PositiveInt | None = None


class Transformer(Zoo):
    """Attention made of spikes: there is no twin without them."""

    owns_time = True
    ann_twin = False


class Spikformer(Transformer):
    choice = "spikformer"
    public = "membrane.models.spikformer.Spikformer"
    embed_dims: PositiveInt = 384
    num_heads: PositiveInt = 12
    depths: PositiveInt = 4
    mlp_ratio: Positive = 4.0
    patch_size: Literal[4, 16] | None = None

    @model_validator(mode="after")
    def heads_fit(self) -> Self:
        """Refuse heads that do not divide the channels."""
        attention_fits([self.embed_dims], [self.num_heads], self.embed_dims)
        return self


class QKFormer(Transformer):
    choice = "qkformer"
    public = "membrane.models.qkformer.QKFormer"
    embed_dims: PositiveInt = 384
    num_heads: list[PositiveInt] = Field(default=[6, 6, 6])
    depths: list[Count] = Field(default=[1, 2, 7])
    mlp_ratio: Positive = 4.0
    qka_type: Literal["token", "channel"] = "token"
    stem: Stem | None = None

    @model_validator(mode="after")
    def heads_fit(self) -> Self:
        """Refuse another number of stages than three, and heads that do not divide the channels."""
        three_stages(self.embed_dims, self.num_heads, self.depths)
        return self


class SpikeDrivenTransformer(Transformer):
    choice = "sdt"
    public = "membrane.models.sdt.SpikeDrivenTransformer"
    embed_dims: PositiveInt = 384
    num_heads: PositiveInt = 8
    depths: PositiveInt = 8
    mlp_ratio: Positive = 4.0
    stem: Stem | None = None

    @model_validator(mode="after")
    def heads_fit(self) -> Self:
        """Refuse heads that do not divide the channels."""
        attention_fits([self.embed_dims], [self.num_heads], self.embed_dims)
        return self


ZOO = (
    SpikingVGG,
    SpikingResNet,
    SEWResNet,
    MSResNet,
    PLIFNet,
    Spikformer,
    QKFormer,
    SpikeDrivenTransformer,
)
