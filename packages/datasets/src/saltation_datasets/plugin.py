"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterable

from saltation.plugins import DatasetSpec, hookimpl


@hookimpl
def saltation_datasets() -> Iterable[DatasetSpec]:
    """The data sets of this package."""
    yield DatasetSpec(
        name="yinyang",
        target="saltation_datasets:load_yinyang",
        summary="Yin-Yang: points of a disc in 3 classes, 4 features; generated; 5000 / 1000 / 1000 samples",
        source="Kriener, Göltz, Petrovici: The Yin-Yang dataset, NICE 2022",
    )
    yield DatasetSpec(
        name="xor",
        target="saltation_datasets:load_xor",
        summary="the exclusive or of two bits: four samples in 2 classes; generated",
        source="Minsky, Papert: Perceptrons, 1969",
    )
    yield DatasetSpec(
        name="delayed_xor",
        target="saltation_datasets:load_delayed_xor",
        summary="the exclusive or of two bits, the second one later; generated; 2000 / 500 / 1000 samples",
        source="after Abbott, DePasquale, Memmesheimer: Building functional networks of spiking model neurons, 2016",
    )
    yield DatasetSpec(
        name="sine",
        target="saltation_datasets:load_sine",
        summary="a period of a sine, to regress on; generated; 1000 / 200 / 500 samples",
        source="sin(2 pi x)",
    )
    yield DatasetSpec(
        name="shd",
        target="saltation_datasets:load_shd",
        summary="spoken digits as spikes of 700 units in 20 classes; HDF5 files; 7356 / 800 / 2264 recordings",
        source="Cramer et al.: The Heidelberg spiking data sets, IEEE TNNLS 33, 2022",
    )
    yield DatasetSpec(
        name="shd_like",
        target="saltation_datasets:load_shd_like",
        summary="bursts of 700 units whose timing tells 20 classes apart; generated; 2000 / 250 / 500 samples",
        source="after Cramer et al.: The Heidelberg spiking data sets, IEEE TNNLS 33, 2022",
    )
    yield DatasetSpec(
        name="digits",
        target="saltation_datasets:load_digits",
        summary="handwritten digits of 8 x 8 pixels in 10 classes; packaged; 1197 / 300 / 300 images",
        source="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, doi:10.24432/C50P49, CC BY 4.0",
    )
    yield DatasetSpec(
        name="mnist",
        target="saltation_datasets:load_mnist",
        summary="handwritten digits of 28 x 28 pixels in 10 classes; IDX files; 55000 / 5000 / 10000 images",
        source="LeCun et al.: Gradient-based learning applied to document recognition, Proc. IEEE 86, 1998",
    )
    yield DatasetSpec(
        name="fashion_mnist",
        target="saltation_datasets:load_fashion_mnist",
        summary="pieces of clothing of 28 x 28 pixels in 10 classes; IDX files; 55000 / 5000 / 10000 images",
        source="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv:1708.07747",
    )
    yield DatasetSpec(
        name="n_mnist",
        target="saltation_datasets:load_n_mnist",
        summary="events of a moving camera, 34 x 34 x 2, in 10 classes; .bin files; 55000 / 5000 / 10000 recordings",
        source="Orchard et al.: Converting static image datasets to spiking neuromorphic datasets, 2015",
    )
    yield DatasetSpec(
        name="cifar10",
        target="saltation_datasets:load_cifar10",
        summary="colour images of 32 x 32 pixels in 10 classes; pickles; 45000 / 5000 / 10000 images",
        source="Krizhevsky: Learning multiple layers of features from tiny images, 2009",
    )
    yield DatasetSpec(
        name="cifar100",
        target="saltation_datasets:load_cifar100",
        summary="colour images of 32 x 32 pixels in 100 classes; pickles; 45000 / 5000 / 10000 images",
        source="Krizhevsky: Learning multiple layers of features from tiny images, 2009",
    )
    yield DatasetSpec(
        name="grasshopper",
        target="saltation_datasets:load_grasshopper",
        summary="spike trains of an auditory receptor and the sound that it heard; text files; 100 windows of 100 ms",
        source="Rokem et al.: Spike-timing precision of auditory receptor neurons, J. Neurophysiol. 95, 2006 (nitime)",
    )
