"""MNIST as Poisson spikes by hand with SpikingJelly, the recipe of `experiment=spikingjelly/lif_fc_mnist`.

``python scripts/by_hand/lif_fc_mnist.py --seed 0 --data data --out seed0.json``: as seq_fmnist.py beside it.
"""

import torch
from recipe import Recipe, argument_parser, set_up, train
from spikingjelly.activation_based import encoding, functional, layer, neuron, surrogate
from torch import Tensor, nn

T = 100


def network() -> nn.Sequential:
    """Build 784 → 10 leaky neurons without biases."""
    leaky = neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan())
    return nn.Sequential(layer.Flatten(), layer.Linear(784, 10, bias=False), leaky)


def rates(net: nn.Module, x: Tensor, encode: nn.Module) -> Tensor:
    """Draw spikes of x [N,28,28] at every timestep, as the tutorial's loop does, and return the firing rates [N,10]."""
    functional.reset_net(net)
    total = torch.zeros(len(x), 10)
    for _ in range(T):
        total = total + net(encode(x))
    return total / T


def loss(net: nn.Module, x: Tensor, y: Tensor, encode: nn.Module) -> Tensor:
    """Return the squared distance of the rates of x [N,28,28] from the one-hot labels y [N]."""
    return nn.functional.mse_loss(rates(net, x, encode), nn.functional.one_hot(y, 10).float())


def main() -> None:
    """Train as the arguments say."""
    options = argument_parser(__doc__, 100).parse_args()
    set_up(options)
    net, encode = network(), encoding.PoissonEncoder()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    recipe = Recipe(net, lambda x, y: loss(net, x, y, encode), lambda x: rates(net, x, encode), optimizer, 64)
    train(recipe, options, "mnist", "spikingjelly")


if __name__ == "__main__":
    main()
