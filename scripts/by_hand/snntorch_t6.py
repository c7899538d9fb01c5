"""MNIST in an epoch by hand with snnTorch, the recipe of its tutorial 6 and of `experiment=snntorch/t6`.

``python scripts/by_hand/snntorch_t6.py --seed 0 --data data --out seed0.json``: as seq_fmnist.py beside it.
"""

import snntorch
import torch
from recipe import Recipe, argument_parser, set_up, train
from snntorch import functional, surrogate, utils
from torch import Tensor, nn

T = 50


def fire(output: bool = False) -> nn.Module:
    """Build a leaky neuron that keeps its potential; the last one puts it out, too."""
    return snntorch.Leaky(beta=0.5, spike_grad=surrogate.fast_sigmoid(slope=25), init_hidden=True, output=output)


def network() -> nn.Sequential:
    """Build 12C5–MP2–64C5–MP2–FC10."""
    first, second = (nn.Conv2d(a, b, 5) for a, b in ((1, 12), (12, 64)))
    return nn.Sequential(
        first, nn.MaxPool2d(2), fire(), second, nn.MaxPool2d(2), fire(), nn.Flatten(), nn.Linear(1024, 10), fire(True)
    )


def spikes(net: nn.Module, x: Tensor) -> Tensor:
    """Show x [N,28,28] at every timestep and return the spikes [T,N,10]."""
    utils.reset(net)
    return torch.stack([net(x[:, None])[0] for _ in range(T)])


def main() -> None:
    """Train as the arguments say."""
    options = argument_parser(__doc__, 1).parse_args()
    set_up(options)
    net, entropy = network(), functional.ce_rate_loss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    recipe = Recipe(net, lambda x, y: entropy(spikes(net, x), y), lambda x: spikes(net, x).sum(0), optimizer, 128)
    train(recipe, options, "mnist", "snntorch")


if __name__ == "__main__":
    main()
