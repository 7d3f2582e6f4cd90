"""What is shown runs: every example, and every block of Python that a page marks as runnable.

A line `<!-- run -->` above a block marks it; the marked blocks of a page run in one process, in order. A line
`<!-- output -->` above a block of text says what the block before it prints, numbers to three digits.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/**/README.md"), *ROOT.glob("examples/*.md")]
)
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>run|output) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
SEPARATOR = "=== block {} ==="


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def marked(page: Path) -> list[tuple[str, str]]:
    """The marked blocks of a page, `(mark, text)`."""
    return [(block["mark"], block["text"]) for block in FENCE.finditer(page.read_text()) if block["mark"]]


# Pages take minutes together: but for the first ones that a user meets, they run where the site is built.
FIRST = ("README.md", "docs/index.md")
# The same holds for examples: this one solves and differentiates, and takes seconds.
QUICK = ("first_gradient.py",)
RUNNABLE = [
    pytest.param(page, marks=[] if name_of(page).endswith(FIRST) else [pytest.mark.slow], id=name_of(page))
    for page in PAGES
    if marked(page)
]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, marks=[] if example.name in QUICK else [pytest.mark.slow], id=name_of(example))
        for example in EXAMPLES
    ],
)
def test_every_example_runs(example, python):
    assert python(str(example)).stdout.strip()


def test_the_examples_are_listed_and_short():
    listed = (ROOT / "examples" / "README.md").read_text()
    assert EXAMPLES and all(f"`{example.name}`" in listed for example in EXAMPLES)
    assert all(len(example.read_text().splitlines()) <= 55 for example in EXAMPLES)
    assert set(QUICK) <= {example.name for example in EXAMPLES}


@pytest.mark.parametrize("page", RUNNABLE)
def test_what_a_page_shows_runs_and_prints_what_it_says(page, python):
    blocks = marked(page)
    code, wanted = [], {}
    for mark, text in blocks:
        if mark == "run":
            code += [text, f"print({SEPARATOR.format(len(code))!r})"]
        else:
            assert code, f"{name_of(page)}: an output comes before any code"
            wanted[len(code) - 2] = text
    printed = python("-c", "\n".join(code)).stdout
    for place, text in wanted.items():
        before = printed.partition(SEPARATOR.format(place))[0]
        found = before.rpartition(" ===\n")[2]
        assert without_numbers(found) == without_numbers(text), found
        assert numbers(found) == pytest.approx(numbers(text), rel=2e-3, abs=1e-6), found


def without_numbers(text: str) -> list[str]:
    # NumPy pads the numbers of a column to one width, and how many digits they need differs between machines.
    return re.sub(r"\s+]", "]", NUMBER.sub("#", text)).split()


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_python_is_python(page):
    for block in FENCE.finditer(page.read_text()):
        if block["language"] == "python":
            compile(block["text"], name_of(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_are_there(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file) if file else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]+", "-", heading.lower()).strip("-") for heading in headings}, target


def test_pictures_are_small_and_used():
    used = {target for page in PAGES for target in re.findall(r"\]\((?:\.\./)?img/([^)]+)\)", page.read_text())}
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "img").glob("*.png")}
    assert used == set(pictures)
    assert all(size < 150_000 for size in pictures.values()), pictures


def test_the_site_lists_every_page():
    listed = re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    docs = ROOT / "docs"
    assert sorted(listed) == sorted(page.relative_to(docs).as_posix() for page in docs.rglob("*.md"))
