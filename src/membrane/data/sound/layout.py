"""The settings of sound features, and the shape of a sample that follows from them. Without torch."""

from dataclasses import dataclass
from typing import Literal

from membrane.errors import ConfigError

Features = Literal["log_mel", "mfcc", "spikes"]
Form = Literal["image", "signal", "timesteps"]
SECONDS = 1.0
THRESHOLD = 6.0


@dataclass(frozen=True, kw_only=True)
class SoundLayout:
    """Settings of sound features; channels are 2 for spikes (up and down), otherwise 1.

    Arguments:
        features: ``log_mel``: decibels in mel bands; ``mfcc``: their cosine transform; ``spikes``: counts of crossings.
        form: ``image`` [channels,bands,frames], ``signal`` [channels·bands,frames], or ``timesteps``: T times
            [channels,bands], for a *tid* framework.
        seconds: of a recording that are kept. Longer ones are cut at the end, shorter ones filled with silence, which
            is 0 in all features; with ``timesteps`` that is padding, behind the sample's length.
        stretch: frames that every recording is stretched or compressed to, so that slow and fast ones look alike. None:
            as many as there are in ``seconds``.
        window: of the Fourier transform, in ms.
        hop: from one frame to the next, in ms.
        bands: of the mel scale, from 0 Hz to half of the rate.
        coefficients: cosine coefficients that are kept, in place of the bands, for ``mfcc``. None: as many as bands.
        decibels: from a recording's loudest value down to what counts as silence. The noise of a microphone lies some
            40 dB below speech.
        threshold: step of a band's level that gives a spike, in dB, for ``spikes``.
        center: subtract each band's mean over the recording, which removes the microphone's colour; not for spikes.
    """

    features: Features = "log_mel"
    form: Form = "image"
    seconds: float = SECONDS
    stretch: int | None = None
    window: float = 25.0
    hop: float = 10.0
    bands: int = 40
    coefficients: int | None = None
    decibels: float = 80.0
    threshold: float = THRESHOLD
    center: bool = False

    def __post_init__(self) -> None:
        if self.coefficients is not None and self.features != "mfcc":
            raise ConfigError(f"coefficients={self.coefficients} are of features=mfcc: leave them out, or bands=…")
        if self.coefficients is not None and self.coefficients > self.bands:
            raise ConfigError(f"coefficients={self.coefficients}, but there are only bands={self.bands}")
        if self.threshold != THRESHOLD and self.features != "spikes":
            raise ConfigError(f"threshold={self.threshold:g} is of features=spikes: leave it out")
        if self.center and self.features == "spikes":
            raise ConfigError("center=true changes no crossing of features=spikes: leave it out")
        if self.hop > self.window:
            raise ConfigError(f"hop={self.hop:g} ms leaves sound out between windows of window={self.window:g} ms")
        if self.stretch is not None and self.seconds != SECONDS:
            raise ConfigError(f"seconds={self.seconds:g} cuts nothing that stretch={self.stretch} fits: leave it out")
        if not self.frames:
            raise ConfigError(f"seconds={self.seconds:g} is less than a frame of hop={self.hop:g} ms")

    @property
    def frames(self) -> int:
        """The number of frames F of a sample."""
        return self.stretch or round(1000 * self.seconds / self.hop)

    @property
    def channels(self) -> int:
        """Up and down for spikes, otherwise one."""
        return 2 if self.features == "spikes" else 1

    @property
    def rows(self) -> int:
        """The number of values of a frame's channel: bands or coefficients."""
        return self.bands if self.coefficients is None else self.coefficients

    @property
    def timesteps_in_data(self) -> bool:
        """Return whether frames are the timesteps of the data."""
        return self.form == "timesteps"

    @property
    def shape(self) -> list[int]:
        """The shape of a sample, or of one timestep."""
        forms = {
            "image": [self.channels, self.rows, self.frames],
            "signal": [self.channels * self.rows, self.frames],
            "timesteps": [self.channels, self.rows],
        }
        return forms[self.form]
