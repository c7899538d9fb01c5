"""Settings of each template whose kernels, paddings, strides and pools differ between height and width."""

from typing import Any

SHAPE = (2, 16, 12)
AXES: dict[str, dict[str, Any]] = {
    # 16×12 → 8×12; kernel 3×5, padding 1×2, stride 1×2: 8×6; pool 2×1: 4×6; kernel 1×3, padding 0×1: 4×6; pool 1×2:
    # 4×3; pool 2×1: 2×3
    "scnn": {
        "prepool": [2, 1],
        "kernel_sizes": [[3, 5], [1, 3]],
        "paddings": [[1, 2], [0, 1]],
        "strides": [[1, 2], 1],
        "pool_sizes": [[2, 1], [1, 2]],
        "postpool": [2, 1],
    },
    # 16×12 → 16×6; kernel 5×3, padding 2×1, stride 2×1: 8×6; no stride; stride 1×2: 8×3
    "sresnet": {
        "prepool": [1, 2],
        "kernel_sizes": [[5, 3], 3, [3, 5]],
        "paddings": [[2, 1], 1, [1, 2]],
        "strides": [[2, 1], [1, 1], [1, 2]],
    },
    # 16×12 → 16×6; pool 2×1: 8×6; stride 1×2: 8×3; pool 2×1 in the one block: 4×3
    "sresnet_stride": {
        "prepool": [1, 2],
        "kernel_sizes": [3, [1, 3], [3, 1]],
        "paddings": [1, [0, 1], [1, 0]],
        "strides": [1, [1, 2], 1],
        "pool_sizes": [[2, 1], 1, [2, 1]],
        "force_projection_with_stride": True,
    },
}
"""By the names that the templates have in models/conftest.py; sizes are those of ``SHAPE``."""
