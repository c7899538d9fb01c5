"""Data sets of images."""

from membrane.data.origins.origin import Origin, SourceFile


def idx_files(digests: dict[str, str], *mirrors: str) -> tuple[SourceFile, ...]:
    """Return the files of a data set in idx format, by their names without .gz; they are read unpacked too."""
    return tuple(
        SourceFile(f"{file}.gz", digest, urls=tuple(f"{mirror}{file}.gz" for mirror in mirrors), forms=(file,))
        for file, digest in digests.items()
    )


TORCHGEO = "https://huggingface.co/datasets/torchgeo/eurosat"
ERDA = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"
GTSRB = (  # archive, md5 and address from torchvision 0.26.0, datasets/gtsrb.py, and what is read of it
    ("GTSRB-Training_fixed", "md5:513f3c79a4c5141765e10e952eaa2478", ("Training/", "Final_Training/Images/")),
    ("GTSRB_Final_Test_Images", "md5:c7e4e6327067d32654124b0fe9e82185", ("Final_Test/Images/",)),
    ("GTSRB_Final_Test_GT", "md5:fe31e9c9270bbcd7b84b7f21a9d9d9e5", ("GT-final_test.csv",)),
)

IMAGES = (
    Origin(
        name="mnist",
        licence="none stated by its authors",
        page="http://yann.lecun.com/exdb/mnist/",
        size=11_594_722,
        folders=("MNIST/raw",),  # torchvision's
        files=idx_files(
            {  # torchvision 0.26.0, datasets/mnist.py
                "train-images-idx3-ubyte": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "train-labels-idx1-ubyte": "md5:d53e105ee54ea40749a09fcbcd1e9432",
                "t10k-images-idx3-ubyte": "md5:9fb629c4189551a2d022fa330f9573f3",
                "t10k-labels-idx1-ubyte": "md5:ec29112dd5afa0611ce80d1b7f02629c",
            },
            "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
            "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
        ),
    ),
    Origin(
        name="fashion_mnist",
        licence="MIT",
        page="https://github.com/zalandoresearch/fashion-mnist",
        size=30_878_645,
        folders=("FashionMNIST/raw",),  # torchvision's
        files=idx_files(
            {  # torchvision 0.26.0, datasets/mnist.py
                "train-images-idx3-ubyte": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "train-labels-idx1-ubyte": "md5:25c81989df183df01b3e8a0aad5dffbe",
                "t10k-images-idx3-ubyte": "md5:bef4ecab320f06d8554ea6380940ec79",
                "t10k-labels-idx1-ubyte": "md5:bb300cfdad3c16e7a12a480ee83cd310",
            },
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the authors', and torchvision's
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",  # the authors' repository
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",  # Keras'
        ),
    ),
    Origin(
        name="cifar10",
        licence="none stated by its authors",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        size=170_498_071,
        folders=("",),
        files=(
            SourceFile(
                "cifar-10-python.tar.gz",
                "md5:c58f30108f718f92721af3b95e74349a",  # torchvision 0.26.0, datasets/cifar.py
                urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                unpacked="cifar-10-batches-py",
                forms=("test_batch.bin", "test_batch", "cifar-10-batches-bin/test_batch.bin"),
            ),
        ),
    ),
    Origin(
        name="cifar10_mini",
        licence="none stated by its authors",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        size=4_609_500,
        files=(SourceFile("data_batch_1_first1000.bin"), SourceFile("test_batch_first500.bin")),
        by_hand="cut the first 3073000 bytes of data_batch_1.bin in cifar-10-binary.tar.gz, 1536500 of test_batch.bin",
    ),
    Origin(
        name="cifar100",
        licence="none stated by its authors",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        size=169_001_437,
        folders=("",),
        files=(
            SourceFile(
                "cifar-100-python.tar.gz",
                "md5:eb9058c3a382ffc7106e4002c42a8d85",  # torchvision 0.26.0, datasets/cifar.py
                urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
                unpacked="cifar-100-python",
                forms=("test.bin", "test", "cifar-100-binary/test.bin"),
            ),
        ),
    ),
    Origin(
        name="eurosat",
        licence="MIT",
        page="https://github.com/phelber/eurosat",
        size=94_300_000,
        folders=("", "EuroSAT"),
        files=(
            SourceFile(
                "EuroSAT.zip",
                "md5:c8fa014336c82ac7804f0398fcb19387",  # torchvision 0.26.0, datasets/eurosat.py, as the address
                urls=(f"{TORCHGEO}/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",),
                forms=("2750/",),
            ),
        ),
    ),
    Origin(
        name="gtsrb",
        licence="see its page",
        page="https://benchmark.ini.rub.de",
        size=276_568_468,
        folders=("gtsrb/GTSRB", "GTSRB", ""),  # torchvision's, and of the archives
        files=tuple(
            SourceFile(
                f"{name}.zip",
                digest,
                urls=(f"{ERDA}/{name}.zip",),
                unpacked=name,
                forms=(*forms, *(f"GTSRB/{form}" for form in forms)),
            )
            for name, digest, forms in GTSRB
        ),
    ),
)
