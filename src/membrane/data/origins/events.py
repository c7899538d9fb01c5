"""Data sets of event recordings. Sizes are about: what the pages and lists of data sets state."""

from membrane.data.origins.origin import Origin, SourceFile

LAYOUTS = ("", "extract", "events_h5", "download")
"""Folders in a data set's own in which its files are looked for; all but the first are SpikingJelly's."""


def laid_out(name: str, *others: str) -> tuple[str, ...]:
    """Return the folders that are looked into after that of the data set's ``name``."""
    return tuple(f"{folder}/{layout}".rstrip("/") for folder in (name, *others) for layout in LAYOUTS)[1:]


MENDELEY = "https://data.mendeley.com/public-files/datasets"
ZENKE = "https://zenkelab.org/datasets"
FIGSHARE = "https://ndownloader.figshare.com/files"
CIFAR10_DVS = {  # class → number at figshare and md5: SpikingJelly 2.0.0, datasets/cifar10_dvs.py
    "airplane": (7712788, "0afd5c4bf9ae06af762a77b180354fdd"),
    "automobile": (7712791, "8438dfeba3bc970c94962d995b1b9bdd"),
    "bird": (7712794, "a9c207c91c55b9dc2002dc21c684d785"),
    "cat": (7712812, "52c63c677c2b15fa5146a8daf4d56687"),
    "deer": (7712815, "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    "dog": (7712818, "f379ebdf6703d16e0a690782e62639c3"),
    "frog": (7712842, "cad6ed91214b1c7388a5f6ee56d08803"),
    "horse": (7712851, "e7cbbf77bec584ffbf913f00e682782a"),
    "ship": (7712836, "41c7bd7d6b251be82557c6cce9a7d5c9"),
    "truck": (7712839, "89f3922fd147d9aeff89e76a2b0b70a7"),
}
SHD = {  # file → md5: SpikingJelly 2.0.0, datasets/shd.py
    "shd_train": "f3252aeb598ac776c1b526422d90eecb",
    "shd_test": "1503a5064faa34311c398fb0a1ed0a6f",
}
SSC = {  # file → md5: * an older library's loader
    "ssc_train": "d102be95e7144fcc0553d1f45ba94170",
    "ssc_valid": "b4eee3516a4a90dd0c71a6ac23a8ae43",
    "ssc_test": "a35ff1e9cffdd02a20eb850c17c37748",
}

EVENTS = (
    Origin(
        name="nmnist",
        licence="CC BY-SA 4.0",
        page="https://www.garrickorchard.com/datasets/n-mnist",
        size=1_180_000_000,
        folders=laid_out("nmnist", "N-MNIST", "NMNIST"),
        files=(
            SourceFile(
                "Train.zip",
                "md5:20959b8e626244a1b502305a9e6e2031",  # SpikingJelly 2.0.0, datasets/n_mnist.py
                urls=(f"{MENDELEY}/468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",),
                forms=("Train/",),
            ),
            SourceFile(
                "Test.zip",
                "md5:69ca8762b2fe404d9b9bad1103e97832",  # SpikingJelly 2.0.0, datasets/n_mnist.py
                urls=(f"{MENDELEY}/468j46mzdv/files/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",),
                forms=("Test/",),
            ),
        ),
    ),
    Origin(
        name="nmnist_subset",
        licence="CC BY-SA 4.0",
        page="https://github.com/bamsumit/slayerPytorch",
        size=22_638_824,
        folders=laid_out("nmnist_subset", "NMNISTsmall"),
        files=(SourceFile("train1K.txt"), SourceFile("test100.txt")),
        by_hand="unpack NMNISTsmall.zip from the examples of https://github.com/bamsumit/slayerPytorch into paths.data",
    ),
    Origin(
        name="ncaltech101",
        licence="see its page",
        page="https://www.garrickorchard.com/datasets/n-caltech101",
        size=3_720_000_000,
        folders=laid_out("ncaltech101", "N-Caltech101", "NCaltech101"),
        files=(
            SourceFile(
                "Caltech101.zip",
                "md5:66201824eabb0239c7ab992480b50ba3",  # SpikingJelly 2.0.0, datasets/n_caltech101.py
                urls=(f"{MENDELEY}/cy6cvx3ryv/files/36b5c52a-b49d-4853-addb-a836a8883e49/file_downloaded",),
                forms=("Caltech101/",),
            ),
        ),
    ),
    Origin(
        name="ncars",
        licence="see its page, where a form has to be filled in",
        page="https://www.prophesee.ai/dataset-n-cars-download",
        size=290_000_000,
        folders=laid_out("ncars", "N-CARS", "Prophesee_Dataset_n_cars", "ncars/Prophesee_Dataset_n_cars"),
        files=(
            # * an older library's loader
            SourceFile("n-cars_train.zip", "md5:976d126a651b95d81800b05a3093337b", forms=("n-cars_train/",)),
            SourceFile("n-cars_test.zip", "md5:3b5e8e9a5bffeb95614b8c0a2ba4e511", forms=("n-cars_test/",)),
        ),
    ),
    Origin(
        name="cifar10_dvs",
        licence="see its page",
        page="https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
        size=7_996_000_000,
        folders=laid_out("cifar10_dvs", "CIFAR10DVS", "CIFAR10-DVS"),
        files=tuple(
            SourceFile(f"{name}.zip", f"md5:{md5}", urls=(f"{FIGSHARE}/{number}",), forms=(f"{name}/",))
            for name, (number, md5) in CIFAR10_DVS.items()
        ),
    ),
    Origin(
        name="dvs128_gesture",
        licence="CC BY 4.0",
        page="https://research.ibm.com/interactive/dvsgesture",
        size=2_900_000_000,
        folders=(*laid_out("dvs128_gesture", "DVS128Gesture", "DVSGesture"), ""),
        files=(
            SourceFile(
                "DvsGesture.tar.gz",
                "md5:8a5c71fb11e24e5ca5b11866ca6c00a1",  # SpikingJelly 2.0.0, datasets/dvs128_gesture.py
                unpacked="DvsGesture",
            ),
        ),
        by_hand="put DvsGesture.tar.gz from https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8 into "
        "paths.data/dvs128_gesture",
    ),
    Origin(
        name="shd",
        licence="CC BY 4.0",
        page="https://zenkelab.org/resources/spiking-heidelberg-datasets-shd",
        size=None,
        folders=laid_out("shd", "SHD"),
        files=tuple(
            SourceFile(f"{part}.h5.zip", f"md5:{md5}", (f"{ZENKE}/{part}.h5.zip",), part, (f"{part}.h5",))
            for part, md5 in SHD.items()
        ),
    ),
    Origin(
        name="ssc",
        licence="CC BY 4.0",
        page="https://zenkelab.org/resources/spiking-heidelberg-datasets-shd",
        size=None,
        folders=laid_out("ssc", "SSC"),
        files=tuple(
            SourceFile(f"{part}.h5.zip", f"md5:{md5}", (f"{ZENKE}/{part}.h5.zip",), part, (f"{part}.h5",))
            for part, md5 in SSC.items()
        ),
    ),
)
