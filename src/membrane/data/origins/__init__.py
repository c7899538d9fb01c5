"""Where the data sets come from. Without torch: `membrane data` lists them.

A data set is added by one entry in the module of its kind. ``name`` is that of its choice in conf/dataset, of its
folder below ``paths.data`` and of its folder in the cache:

    Origin(
        name="cifar10",
        licence="none stated by its authors",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        size=170_498_071,
        folders=("",),  # paths.data itself is looked into too, where torchvision keeps it
        files=(
            SourceFile(
                "cifar-10-python.tar.gz",
                "md5:c58f30108f718f92721af3b95e74349a",  # torchvision 0.26.0, datasets/cifar.py
                urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                unpacked="cifar-10-batches-py",
                forms=("test_batch",),
            ),
        ),
    )

A file without ``urls`` is fetched by a person; ``by_hand`` says how where its name and the page do not. Each digest
names its source in a comment, * is public code that is no library; where none is known it is None. `store.sources`
finds, downloads, checks and unpacks: `original_file(root, ORIGINS["cifar10"], "cifar-10-python.tar.gz")` or
`original_content(…)`; `damaged_file(path, why)` is the error for a file that is not the original.
"""

from membrane.data.origins.bundled import BUNDLED
from membrane.data.origins.events import EVENTS
from membrane.data.origins.images import IMAGES
from membrane.data.origins.origin import Origin, SourceFile
from membrane.data.origins.signals import SIGNALS
from membrane.data.origins.sound import SOUND

ORIGINS = {origin.name: origin for origin in (*BUNDLED, *IMAGES, *EVENTS, *SOUND, *SIGNALS)}
"""Data set → where it comes from, for every choice of conf/dataset but ``arrays``."""

__all__ = ["ORIGINS", "Origin", "SourceFile"]
