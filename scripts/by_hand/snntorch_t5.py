"""MNIST in an epoch by hand with snnTorch, the recipe of its tutorial 5 and of `experiment=snntorch/t5`.

``python scripts/by_hand/snntorch_t5.py --seed 0 --data data --out seed0.json``: as seq_fmnist.py beside it.
"""

import snntorch
import torch
from recipe import Recipe, argument_parser, set_up, train
from torch import Tensor, nn

T = 25


class Network(nn.Module):
    """784 → 1000 → 10 leaky neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(784, 1000), snntorch.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(1000, 10), snntorch.Leaky(beta=0.95)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Show x [N,…] at every timestep and return the last layer's spikes and potentials, [T,N,10] each."""
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, potentials = [], []
        for _ in range(T):
            spike, first = self.lif1(self.fc1(x.flatten(1)), first)
            spike, second = self.lif2(self.fc2(spike), second)
            spikes.append(spike)
            potentials.append(second)
        return torch.stack(spikes), torch.stack(potentials)


def loss(potentials: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of the potentials [T,N,10] with the labels y [N], summed over time."""
    entropies: Tensor = sum(nn.functional.cross_entropy(each, y) for each in potentials)  # type: ignore[assignment]
    return entropies


def main() -> None:
    """Train as the arguments say."""
    options = argument_parser(__doc__, 1).parse_args()
    set_up(options)
    net = Network()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)
    recipe = Recipe(net, lambda x, y: loss(net(x)[1], y), lambda x: net(x)[0].sum(0), optimizer, 128)
    train(recipe, options, "mnist", "snntorch")


if __name__ == "__main__":
    main()
