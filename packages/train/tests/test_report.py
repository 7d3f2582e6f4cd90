"""The report is one page with all pictures, and a picture that fails is named and fails nothing."""

import base64
import re

import matplotlib
import pytest
from matplotlib import pyplot

from saltation_train import Recipe, report, train
from saltation_train.figures import PICTURES, style

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run with its report, and what is different in the process since then."""
    before = dict(matplotlib.rcParams)
    out = tmp_path_factory.mktemp("run") / "b"
    run = train(Recipe("toy/blobs", {"hidden": 6}, epochs=2), out=out, progress=False)
    changed = {name: value for name, value in matplotlib.rcParams.items() if value != before[name]}
    return run, changed, pyplot.get_fignums()


@pytest.fixture(scope="module")
def blobs(drawn):
    return drawn[0]


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        only(patch, "sample_images", "decision_map")
        return train(Recipe("toy/stripes", epochs=1), out=tmp_path_factory.mktemp("run") / "s", progress=False)


def only(patch, *kept):
    """Draws some of this package's pictures: each takes a second."""
    for name in set(PICTURES) - set(kept):
        patch.delitem(PICTURES, name)


def page(run):
    return (run.folder / "report.html").read_text()


def test_the_page_needs_nothing_else(blobs):
    text = page(blobs)
    references = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert references and all(reference.startswith("data:image/svg+xml;base64,") for reference in references)
    assert "http" not in text and "<script" not in text


def test_every_picture_is_in_the_page(blobs):
    pictures = re.findall(
        r"<h2>([^<]+)</h2>\n<figure><img alt=\"[^\"]+\" src=\"data:image/svg\+xml;base64,([^\"]+)",
        page(blobs),
    )
    assert [title for title, _ in pictures] == [
        "Learning curves",
        "Decision map",
        "First spikes",
        "Confusion matrix",
        "Activity",
        "Silent neurons and threshold slopes",
        "A plugin&#39;s own picture",
    ]
    for _, data in pictures:
        assert b"<svg" in base64.b64decode(data)


def test_who_is_silent_and_how_near_to_grazing_is_said(blobs):
    text = page(blobs)
    for name, count in blobs.test.spike_count.items():
        assert f"{(count == 0).sum()} of {len(count)} neurons never spike" in text
        assert f"{blobs.test.silent[name]:.1%} of neurons and samples silent" in text
        assert 0.0 <= blobs.test.silent[name] <= 1.0
    assert "slope at the flattest crossing of a sample" in text


def test_pictures_are_files_too(blobs, stripes):
    files = {path.name for path in (blobs.folder / "figures").iterdir()}
    names = {"learning-curves", "decision-map", "first-spikes", "confusion-matrix", "activity", "toy-1"}
    assert {f"{name}.{kind}" for name in names for kind in ("png", "svg")} <= files
    for path in (blobs.folder / "figures").glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    assert (stripes.folder / "figures" / "samples.png").exists()
    assert not (stripes.folder / "figures" / "decision-map.png").exists()


def test_the_page_says_what_made_it(blobs):
    text = page(blobs)
    for words in ("toy/blobs", "Toy on blobs, seed 0", "learning_rate", "saltation-train", "test accuracy"):
        assert words in text


def test_a_picture_that_fails_is_named_and_fails_nothing(blobs):
    assert "the picture &#39;toy-broken&#39; could not be drawn: RuntimeError: no ink" in page(blobs)
    assert blobs.summary is not None


def test_membrane_traces_have_units(blobs):
    with style():
        (picture,) = PICTURES["activity"](blobs)
    raster, *traces = picture.figure.axes
    assert len(traces) == 2 and traces[-1].get_xlabel() == "time (ms)"
    assert "potential, out" in traces[-1].get_ylabel()
    assert [text.get_text() for text in raster.get_yticklabels()] == ["in\n(5)", "hidden1\n(6)", "out\n(3)"]


@pytest.mark.parametrize("name", ["learning_curves", "decision_map", "confusion", "statistics"])
def test_axes_are_labelled(blobs, name):
    for picture in PICTURES[name](blobs):
        for axes in picture.figure.axes:
            assert axes.get_xlabel() or axes.get_ylabel()


def test_the_user_s_own_settings_are_left_alone(drawn):
    _, changed, open_figures = drawn
    assert changed == {} and open_figures == []


def test_an_interrupted_run_has_a_report_too_and_pictures_of_this_package_that_fail_are_named(blobs, monkeypatch):
    only(monkeypatch, "learning_curves", "confusion")
    monkeypatch.setitem(PICTURES, "confusion", lambda run: 1 / 0)
    (blobs.folder / "summary.json").rename(blobs.folder / "put-aside.json")
    path, problems = report(blobs.folder, checkpoint="last")
    assert "2 of 2 epochs; last checkpoint, epoch 2" in path.read_text()
    assert any("'confusion' could not be drawn: ZeroDivisionError" in problem for problem in problems)
    (blobs.folder / "put-aside.json").rename(blobs.folder / "summary.json")
