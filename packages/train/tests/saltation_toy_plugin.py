"""The plugin of the toy, as light as a plugin has to be."""

from saltation.plugins import DatasetSpec, MethodSpec, RecipeSpec, ReportSpec, hookimpl


@hookimpl
def saltation_methods():
    yield MethodSpec("toy", "saltation_toy:Toy", "smooth spike times")
    yield MethodSpec("halved", "saltation_toy:Halved", "smooth spike times with too small a derivative")
    yield MethodSpec("spikeless", "saltation_toy:Spikeless", "rates alone")
    yield MethodSpec("picky", "saltation_toy:Picky", "supports nothing")


@hookimpl
def saltation_datasets():
    yield DatasetSpec("blobs", "saltation_toy:load_blobs", "sectors of a disc")
    yield DatasetSpec("stripes", "saltation_toy:load_stripes", "striped images")


@hookimpl
def saltation_recipes():
    yield RecipeSpec("toy/blobs", "saltation_toy:blobs", "three sectors of a disc", reproduces="nothing")
    yield RecipeSpec("toy/stripes", "saltation_toy:stripes", "striped images")


@hookimpl
def saltation_reports():
    yield ReportSpec("toy", "saltation_toy:extra_report", "a picture")
    yield ReportSpec("toy-broken", "saltation_toy:broken_report", "a picture that fails")
