"""`trainer.compile`: the model compiled by torch for its training steps.

Meant for a GPU, where the operations between convolutions and neurons become few kernels. On the CPU compiling takes a
minute, and the result, which cannot contain the fused neurons of `fused`, is no faster than these.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.fast.hooks import has_own_hooks
from membrane.fast.library import cache_folder
from membrane.files.owned import own_folder

log = logging.getLogger(__name__)


def compile_training(model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """Let a model run compiled in training; its class, names and state stay as they are.

    Evaluation runs as written, and so does a step in which hooks listen to layers, because hooks that are added after
    compiling would not be called. A batch of another size is compiled again, as a rule the last one of an epoch. A step
    raises ConfigError if torch would have to compile too often.
    """
    original = type(model).forward
    compiled: Callable[..., Any] | None = None
    warned = False

    def forward(self: nn.Module, x: Tensor) -> object:
        nonlocal compiled, warned
        if not self.training:
            return original(self, x)
        if has_hooks(self):
            if not warned:
                log.warning("trainer.compile: hooks listen to layers, such steps run as written")
            warned = True
            return original(self, x)
        if compiled is None:
            log.info("compiling the model: its first steps take a minute")
            set_compiler_cache()
            torch.compiler.reset()  # what an earlier run compiled counts towards torch's limit
            compiled = torch.compile(original, dynamic=False, backend=backend)
        with torch.compiler.config.patch(fail_on_recompile_limit_hit=True):  # type: ignore[attr-defined]
            try:
                return compiled(self, x)
            except torch._dynamo.exc.FailOnRecompileLimitHit:  # private to torch 2.11.0: it has no public name
                raise ConfigError(
                    "trainer.compile: this model would be compiled anew at every timestep: use framework=multistep "
                    "or trainer.compile=false"
                ) from None

    model.forward = MethodType(forward, model)


def set_compiler_cache() -> None:
    """Let torch's compiler keep what it loads again as code in folders that are the person's alone.

    By itself it takes one in the temporary folder, of a name that other users know, and there it keeps the headers that
    it compiles once whatever the environment says. A folder that the environment names is left. Raises ConfigError if
    no folder is safe.
    """
    # private to torch 2.11.0, which has no public name for the folder of its headers
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    headers = Path(default_cache_dir())
    try:
        own_folder(headers.parent, headers.name)
    except OSError as error:
        raise ConfigError(f"trainer.compile: {error}: let TMPDIR name a folder that is yours alone") from None
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    folder = cache_folder("torch")
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="membrane-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))


def has_hooks(model: nn.Module) -> bool:
    """Return whether a layer has hooks."""
    return any(has_own_hooks(module) for module in model.modules() if module is not model)
