"""Imports in a process of their own: what they bring, what they leave out, and that it is whole afterwards."""

import subprocess
import sys
from pathlib import Path

CODE = """
import gc, sys
from membrane.training.imports import quick_imports
with quick_imports():
    import membrane.training.run
    assert not gc.isenabled()
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000
assert not [name for name in sys.modules if name.startswith(("scipy.signal", "scipy.stats"))]

from membrane.cli.main import main
arguments = "logger=csv model=smlp model.units=[8] timesteps=2 epochs=1 figures=false threads=1".split()
assert main(["train", *arguments]) == 0  # reads digits, which scikit-learn brings
assert not [name for name in sys.modules if name.startswith(("scipy.signal", "scipy.stats", "sklearn", "wandb"))]
imported = gc.get_freeze_count()

import numpy as np
import scipy.signal
from torchmetrics.functional.audio import scale_invariant_signal_noise_ratio
assert scipy.signal.windows.hamming(3, sym=True).argmax() == 1
assert not hasattr(scipy.signal, "hamming")
with quick_imports():
    import scipy.signal as again
assert gc.get_freeze_count() <= imported, "nothing was imported, so nothing more is kept for good"
assert again is sys.modules["scipy.signal"] is scipy.signal
gc.disable()
with quick_imports():
    pass
assert not gc.isenabled()
"""


def test_scipy_scikit_learn_and_wandb_wait_until_they_are_asked_for(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
