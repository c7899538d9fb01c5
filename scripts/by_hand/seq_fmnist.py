"""Sequential Fashion-MNIST written by hand with SpikingJelly, the recipe of `experiment=seq_fmnist/…`.

``python scripts/by_hand/seq_fmnist.py plain --seed 0 --data data --out seed0.json``: trains a variant, prints the
test accuracy of every epoch, and writes the best, the last, the mean of the last ten, and the seconds. What is read is
what `membrane data fashion_mnist` fetches; nothing else of membrane is used.
"""

import torch
from recipe import Recipe, argument_parser, set_up, train
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn


def fire(detach_reset: bool = False) -> nn.Module:
    """Build an integrate-and-fire neuron with a hard reset."""
    return neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=detach_reset)


def network(variant: str) -> nn.Sequential:
    """Build 28 → 32 → 10: plain, with a synapse filter, or with linear feedback."""
    hidden: dict[str, list[nn.Module]] = {
        "plain": [fire()],
        "synapse": [fire(), layer.SynapseFilter(tau=2.0, learnable=True)],
        "feedback": [layer.LinearRecurrentContainer(fire(detach_reset=True), 32, 32, bias=True)],
    }
    net = nn.Sequential(layer.Linear(28, 32), *hidden[variant], layer.Linear(32, 10), fire())
    functional.set_step_mode(net, "m")
    return net


def rates(net: nn.Module, x: Tensor) -> Tensor:
    """Show x [N,H,W] column by column and return the firing rates [N,10]."""
    functional.reset_net(net)
    outputs: Tensor = net(x.permute(2, 0, 1))
    return outputs.mean(0)


def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the squared distance of the rates of x [N,H,W] from the one-hot labels y [N]."""
    return nn.functional.mse_loss(rates(net, x), nn.functional.one_hot(y, 10).float())


def main() -> None:
    """Train as the arguments say."""
    parser = argument_parser(__doc__, 64)
    parser.add_argument("variant", choices=("plain", "synapse", "feedback"))
    options = parser.parse_args()
    set_up(options)
    net = network(options.variant)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    recipe = Recipe(net, lambda x, y: loss(net, x, y), lambda x: rates(net, x), optimizer, 256, schedule)
    train(recipe, options, "fashion_mnist", "spikingjelly", variant=options.variant)


if __name__ == "__main__":
    main()
