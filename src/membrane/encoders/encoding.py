"""The encoder of a run, applied to a batch."""

import torch
from torch import Tensor, nn

from membrane import randomness
from membrane.encoders.encoder import Encoder


class Encoding(nn.Module):
    """x [N,C,…] → [N,T,…], with the encoder's draws from the stream ``encoding``.

    In training they are a function of (seed, epoch, step), in evaluation of (seed, the sample's index in its data set),
    so that a sample is encoded the same at every epoch, in every batch and by every process.
    """

    def __init__(self, encoder: Encoder, seed: int) -> None:
        super().__init__()
        self.encoder, self.seed = encoder, seed

    def run(self, x: Tensor, index: Tensor, training: bool, epoch: int, step: int) -> Tensor:
        """Encode x [N,C,…] of samples ``index`` [N] → [N,T,…]. Raises ValueError if the encoder returns another form.

        Draws are made on the device of x: those of a GPU are others than a CPU's.
        """
        if not self.draws:
            parameters: dict[str, Tensor] = {}
        elif training:
            parameters = self.draw(x, "encoding", epoch, step)
        else:
            of_samples = [self.draw(x[:1], "encoding.evaluation", sample) for sample in index.tolist()]
            parameters = {name: torch.cat([each[name] for each in of_samples]) for name in of_samples[0]}
        encoded = self.encoder.encode(self.encoder.scaled(x), parameters)
        expected = [len(x), self.encoder.timesteps, *self.encoder.frame_shape(x.shape[1:])]
        if list(encoded.shape) != expected or not encoded.is_floating_point():
            got = f"{encoded.dtype} {list(encoded.shape)}"
            raise ValueError(f"encoder {type(self.encoder).__name__}: expected floating point {expected}, got {got}")
        return encoded

    def draw(self, x: Tensor, stream: str, *indices: int) -> dict[str, Tensor]:
        """Draw the parameters of samples x [n,C,…] from a stream → [n,…] each."""
        generator = randomness.generator(self.seed, stream, *indices, device=x.device)
        return self.encoder.draw(len(x), x.shape[1:], generator)

    @property
    def draws(self) -> bool:
        """Return whether the encoder draws anything: else samples need not be drawn for one by one."""
        return type(self.encoder).draw is not Encoder.draw

    def describe(self) -> str:
        """Describe the encoder for the log."""
        drawn = "drawn anew at each step of training, fixed in evaluation" if self.draws else "nothing drawn"
        return f"{type(self.encoder).__name__}({self.encoder.extra_repr()}), {drawn}"
