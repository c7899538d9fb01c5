"""Data sets of signals."""

from membrane.data.origins.origin import Origin, SourceFile

SIGNALS = (
    Origin(
        name="uci_har",
        licence="no commercial use (its README); CC BY 4.0 (its page)",
        page="https://archive.ics.uci.edu/dataset/240",
        size=60_999_314,
        folders=("",),
        files=(
            SourceFile(
                "UCI HAR Dataset.zip",
                # * several projects pin it to this digest, and download it from this address
                "sha256:2045e435c955214b38145fb5fa00776c72814f01b203fec405152dac7d5bfeb0",
                urls=("https://archive.ics.uci.edu/ml/machine-learning-databases/00240/UCI%20HAR%20Dataset.zip",),
                unpacked="UCI HAR Dataset",
                forms=("train/Inertial Signals/",),
            ),
        ),
    ),
)
