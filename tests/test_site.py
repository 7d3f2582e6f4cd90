"""The documentation's site: whole, without anything from elsewhere, and without an error in a browser.

`nox -s docs` builds it and names its folder in SALTATION_SITE. Elsewhere it is built where MkDocs is installed. What
needs a browser is skipped where there is no Chromium (Debian: `apt-get install chromium`).
"""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import browser  # noqa: E402
import check_site  # noqa: E402
from workspace import packages  # noqa: E402

SEARCH = """(async () => {
  const field = document.querySelector("[data-md-component=search-query]");
  field.focus(); field.value = "saltation matrix";
  for (const name of ["input", "keyup"]) field.dispatchEvent(new Event(name, {bubbles: true}));
  for (let i = 0; i < 300 && !document.querySelector(".md-search-result__item"); i++)
    await new Promise(next => setTimeout(next, 100));
  return document.querySelectorAll(".md-search-result__item").length;
})()"""

FONT = """document.fonts.load("16px 'STIX Two Math'").then(faces => faces.map(face => face.status))"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "SALTATION_SITE" in os.environ:
        return ROOT / os.environ["SALTATION_SITE"]
    if find_spec("material") is None:
        pytest.skip("MkDocs and its theme are not installed: `nox -s docs` installs and runs this")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)], cwd=ROOT, check=True
    )
    return folder


@pytest.fixture(scope="session")
def tab():
    chromium = browser.executable()
    if chromium is None:
        pytest.skip(f"no Chromium: none of {', '.join(browser.NAMES)} is installed")
    with browser.browser(chromium) as tab:
        yield tab


def test_the_site_is_whole_and_loads_nothing_from_elsewhere(site):
    assert check_site.problems(site) == []


def test_every_public_name_is_in_the_reference(site):
    for package in packages().values():
        page = check_site.Page((site / "reference" / f"{package.import_name}.html").read_text())
        names = importlib.import_module(package.import_name).__all__
        assert {f"{package.import_name}.{name}" for name in names} <= page.anchors


def test_the_sites_formulas_are_set(site):
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in (site / "ode.html").read_text()
    assert not [page.name for page in site.glob("*.html") if 'class="arithmatex"' in page.read_text()]


def test_the_site_opens_without_errors(site, tab):
    # The page for missing pages finds its style sheets only on a server.
    pages = [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
    assert [f"{page.name}: {problem}" for page in pages for problem in tab.problems(page)] == []


def test_the_sites_formulas_have_their_font(site, tab):
    assert tab.problems(site / "ode.html") == []
    assert tab.evaluate(FONT) == ["loaded"]


def test_the_sites_search_works_from_the_disk(site, tab):
    assert tab.problems(site / "index.html") == []
    assert tab.evaluate(SEARCH) > 0


def test_a_report_opens_without_errors(tab, saltation, tmp_path):
    options = ["--hidden", "5", "--epochs", "1", "--seed", "0", "--out", str(tmp_path / "run")]
    saltation("train", "delgrad/yinyang-w", *options)
    report = tmp_path / "run" / "report.html"
    assert report.read_text().count("<img ") > 1
    assert tab.problems(report) == []


BROKEN = {
    '<a href="gone.html">x</a>': "gone.html is not there",
    '<a href="#gone">x</a>': "#gone has no such anchor",
    '<a href="other.html#gone">x</a>': "other.html#gone has no such anchor",
    '<img src="gone.png">': "gone.png is not there",
    '<script src="https://example.org/x.js"></script>': "loads https://example.org/x.js from elsewhere",
    '<link rel="stylesheet" href="//example.org/x.css">': "loads //example.org/x.css from elsewhere",
    "<style>@import 'https://example.org/x.css'</style>": "loads https://example.org/x.css from elsewhere",
    '<p style="background: url(https://example.org/x.png)">': "loads https://example.org/x.png from elsewhere",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_site_is_noticed(broken, tmp_path):
    (tmp_path / "other.html").write_text('<h1 id="here">x</h1>')
    (tmp_path / "index.html").write_text(
        f'<a href="other.html#here">x</a> <a href="https://example.org">x</a> {broken}'
    )
    assert check_site.problems(tmp_path) == [f"index.html: {BROKEN[broken]}"]


def test_an_empty_site_is_noticed(tmp_path):
    assert "holds no pages" in check_site.problems(tmp_path)[0]


ERRORS = {
    "<script>undefined_name()</script>": "undefined_name is not defined",
    "<script>console.error('too bad')</script>": "too bad",
    '<img src="gone.png">': "missing picture",
    '<img src="data:image/png;base64,AAAA">': "missing picture",
    '<script src="http://127.0.0.1:9/x.js"></script>': "from elsewhere",
}


@pytest.mark.parametrize("broken", ERRORS)
def test_a_broken_page_is_noticed(broken, tab, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>x</title>{broken}")
    assert ERRORS[broken] in " ".join(tab.problems(page))
