"""Fashion-MNIST: 70,000 pieces of clothing, in MNIST's format."""

from pathlib import Path

from saltation import Dataset

from ._images import IdxFile, IdxImages, load_idx_images

FASHION_MNIST = IdxImages(
    name="fashion_mnist",
    train_images=IdxFile("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    train_labels=IdxFile("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    test_images=IdxFile("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    test_labels=IdxFile("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    classes=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    # No https there: what is trusted is the SHA-256.
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    how_to_get=(
        "on Debian:    sudo apt install dataset-fashion-mnist (then found without further settings)\n"
        "without root: apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist*.deb tmp,\n"
        "              then data_dir='tmp/usr/share/datasets/fashion-mnist' (--data-dir ...)\n"
        "or download:  download=True, after pip install 'saltation-datasets[download]'"
    ),
    folders=("fashion-mnist", "FashionMNIST/raw"),
    system_dirs=(Path("/usr/share/datasets/fashion-mnist"),),  # Debian's dataset-fashion-mnist
)


def load_fashion_mnist(
    *, data_dir: str | Path | None = None, download: bool = False, validation_size: int = 5000
) -> Dataset:
    """Fashion-MNIST, pieces of clothing: 60,000 training and 10,000 test images of 28 x 28 pixels.

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

    **Source**: Xiao, Rasul, Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms, arXiv:1708.07747.

    **Example**

    ```python
    import saltation as st
    from saltation_datasets import load_fashion_mnist

    try:
        print(load_fashion_mnist().train)
    except st.DataError as error:
        print(error)  # names the files, the places looked at, and how to get them
    ```
    """
    return load_idx_images(FASHION_MNIST, data_dir=data_dir, download=download, validation_size=validation_size)
