"""Fashion-MNIST by hand with SpikingJelly, the recipe of `experiment=spikingjelly/conv_fashion_mnist` and `…_small`.

``python scripts/by_hand/conv_fashion_mnist.py --channels 8 --epochs 12 --data data --out seed0.json``: as
seq_fmnist.py beside it.
"""

import torch
from recipe import Recipe, argument_parser, set_up, train
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

T = 4


def fire() -> nn.Module:
    """Build an integrate-and-fire neuron with a hard reset."""
    return neuron.IFNode(surrogate_function=surrogate.ATan())


def network(channels: int = 128) -> nn.Sequential:
    """Build two convolutions and two linear layers, without biases."""
    net = nn.Sequential(
        layer.Conv2d(1, channels, 3, padding=1, bias=False),
        layer.BatchNorm2d(channels),
        fire(),
        layer.MaxPool2d(2, 2),
        layer.Conv2d(channels, channels, 3, padding=1, bias=False),
        layer.BatchNorm2d(channels),
        fire(),
        layer.MaxPool2d(2, 2),
        layer.Flatten(),
        layer.Linear(channels * 7 * 7, channels * 16, bias=False),
        fire(),
        layer.Linear(channels * 16, 10, bias=False),
        fire(),
    )
    functional.set_step_mode(net, "m")
    return net


def rates(net: nn.Module, x: Tensor) -> Tensor:
    """Show x [N,28,28] at every timestep and return the firing rates [N,10]."""
    functional.reset_net(net)
    outputs: Tensor = net(x[:, None].expand(T, -1, -1, -1, -1))
    return outputs.mean(0)


def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the squared distance of the rates of x [N,28,28] from the one-hot labels y [N]."""
    return nn.functional.mse_loss(rates(net, x), nn.functional.one_hot(y, 10).float())


def main() -> None:
    """Train as the arguments say."""
    parser = argument_parser(__doc__, 64)
    parser.add_argument("--channels", type=int, default=128)
    options = parser.parse_args()
    set_up(options)
    net = network(options.channels)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    recipe = Recipe(net, lambda x, y: loss(net, x, y), lambda x: rates(net, x), optimizer, 256, schedule)
    train(recipe, options, "fashion_mnist", "spikingjelly", channels=options.channels)


if __name__ == "__main__":
    main()
