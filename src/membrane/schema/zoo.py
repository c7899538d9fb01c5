"""SpikingJelly's model zoo: its settings, and in one line what cannot be built. The papers: conf/model."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.models.geometry import require_heads_divide_widths, require_three_stages
from membrane.schema.model import Model, Norm, Probability
from membrane.schema.node import LATER, Count, Positive

Stem = Literal["imagenet", "cifar"]


class Zoo(Model):
    """A network for images; what is null follows their size."""

    ranks = (2,)


class SpikingVGG(Zoo):
    """VGG with spiking neurons: 11 to 19 layers, with and without norm.

    A 2×2 pool is left out once a single pixel is left. ``head`` null is imagenet (two layers of 4096) from 64 pixels
    up, else cifar (one linear layer).
    """

    choice = "spiking_vgg"
    public = "membrane.models.spiking_vgg.SpikingVGG"
    depth: Literal[11, 13, 16, 19] = 11
    norm: Literal["batch", "none"] = "batch"
    head: Stem | None = None


class SpikingResNet(Zoo):
    """ResNet with spiking neurons: a neuron follows every sum.

    ``stem`` null is imagenet (7×7, stride 2, max pool) from 64 pixels up, else cifar (3×3, stride 1).
    """

    choice = "spiking_resnet"
    public = "membrane.models.spiking_resnet.SpikingResNet"
    depth: Literal[18, 34, 50, 101, 152] = 18
    stem: Stem | None = None


class SEWResNet(Zoo):
    """Spike-element-wise ResNet: ``cnf`` joins the spikes of both paths, with no neuron after.

    ``stem`` as spiking_resnet.
    """

    choice = "sew_resnet"
    public = "membrane.models.sew_resnet.SEWResNet"
    depth: Literal[18, 34, 50, 101, 152] = 18
    cnf: Literal["ADD", "AND", "IAND"] = "ADD"
    stem: Stem | None = None


class MSResNet(Zoo):
    """Membrane-shortcut ResNet: neurons stand before the convolutions, the sum is of potentials.

    ``stem`` as spiking_resnet; ``channels`` is the first stage's width.
    """

    choice = "ms_resnet"
    public = "membrane.models.ms_resnet.MSResNet"
    owns_time = True
    depth: Literal[18, 34] = 18
    channels: PositiveInt = 64
    stem: Stem | None = None


class PLIFNet(Zoo):
    """The networks of the PLIF paper for its six data sets, with ten voting neurons a class.

    ``channels`` null is the paper's.
    """

    choice = "plif_net"
    public = "membrane.models.plif_net.PLIFNet"
    variant: Literal["mnist", "fashion_mnist", "nmnist", "cifar10", "cifar10_dvs", "dvs_gesture"] = "mnist"
    channels: PositiveInt | None = None
    fc_bias: bool = LATER(default=True)


class SEWNet(Zoo):
    """Spike-element-wise network for event cameras: a block and a pool for each of ``channels``.

    Seven of 32, the default, are 7B-Net, [64,64,64,64,128,128,128] Wide-7B-Net.
    """

    choice = "sew_net"
    public = "membrane.models.sew_net.SEWNet"
    channels: list[PositiveInt] = Field(default=[32] * 7, min_length=1)
    cnf: Literal["ADD", "AND", "IAND"] = "ADD"


class VGGSNN(Zoo):
    """Eight convolutions with average pools for frames of event cameras.

    ``channels`` is the first one's width; frames are averaged to ``pixels`` a side first, and ``dropout`` lies before
    the linear layer.
    """

    choice = "vggsnn"
    public = "membrane.models.vggsnn.VGGSNN"
    channels: PositiveInt = 64
    pixels: PositiveInt | None = None
    norm: Norm = "batch"
    dropout: Probability = 0.0


class ResNet19(Zoo):
    """Spiking ResNet for small images with widths 128, 256 and 512, a neuron behind every sum.

    ``channels`` is the stem's width, from which all follow.
    """

    choice = "resnet19"
    public = "membrane.models.resnet19.ResNet19"
    channels: PositiveInt = 64
    norm: Norm = "tdbn"


class Transformer(Zoo):
    """Attention made of spikes: there is no twin without them."""

    owns_time = True
    ann_twin = False


class Spikformer(Transformer):
    """Transformer with spiking self-attention.

    ``patch_size`` null is 16 from 64 pixels up, else 4.
    """

    choice = "spikformer"
    public = "membrane.models.spikformer.Spikformer"
    embed_dims: PositiveInt = 384
    num_heads: PositiveInt = 12
    depths: PositiveInt = 4
    mlp_ratio: Positive = 4.0
    patch_size: Literal[4, 16] | None = None

    @model_validator(mode="after")
    def heads_fit(self) -> Self:
        """Reject heads that do not divide the channels."""
        require_heads_divide_widths([self.embed_dims], [self.num_heads], self.embed_dims)
        return self


class QKFormer(Transformer):
    """Hierarchical transformer of three stages, with Q-K attention in the first two.

    ``stem`` null is imagenet (a quarter of the pixels) from 64 pixels up, else cifar.
    """

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
        """Reject another number of stages than three, and heads that do not divide the channels."""
        require_three_stages(self.embed_dims, self.num_heads, self.depths)
        return self


class SpikeDrivenTransformer(Transformer):
    """Transformer whose attention masks and adds spikes, without a product of matrices.

    ``stem`` null pools four times from 64 pixels up, else twice.
    """

    choice = "sdt"
    public = "membrane.models.sdt.SpikeDrivenTransformer"
    embed_dims: PositiveInt = 384
    num_heads: PositiveInt = 8
    depths: PositiveInt = 8
    mlp_ratio: Positive = 4.0
    stem: Stem | None = None

    @model_validator(mode="after")
    def heads_fit(self) -> Self:
        """Reject heads that do not divide the channels."""
        require_heads_divide_widths([self.embed_dims], [self.num_heads], self.embed_dims)
        return self


ZOO = (
    SpikingVGG,
    SpikingResNet,
    SEWResNet,
    MSResNet,
    PLIFNet,
    SEWNet,
    VGGSNN,
    ResNet19,
    Spikformer,
    QKFormer,
    SpikeDrivenTransformer,
)
