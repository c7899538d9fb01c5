"""Data sets that come with a library."""

from membrane.data.origins.origin import Origin

SCIKIT_LEARN = "comes with scikit-learn (BSD-3-Clause)"

BUNDLED = (
    Origin(
        name="digits",
        licence=SCIKIT_LEARN,
        page="https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits",
    ),
    Origin(
        name="digits_events",
        licence=f"made here from digits, which {SCIKIT_LEARN}",
        page="https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits",
    ),
    Origin(
        name="diabetes",
        licence=SCIKIT_LEARN,
        page="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    ),
)
