"""A built site is whole: every link inside it, with its anchor, leads somewhere, and nothing is loaded from elsewhere.

`python tools/check_site.py site`
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser loads by itself, beside links that a reader follows.
LOADED = {"audio", "embed", "iframe", "img", "input", "object", "script", "source", "track", "video"}
STYLE_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class Page(HTMLParser):
    """The anchors, links and loaded resources of a page."""

    def __init__(self, text: str):
        HTMLParser.__init__(self)
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self._in_style = tag == "style"
        self.resources += styles(given.get("style", ""))
        if tag in LOADED:
            self.resources += [given[name] for name in ("src", "data", "poster") if name in given]
            self.resources += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.resources += [given["href"]] if "href" in given else []
        elif "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data):
        if self._in_style:
            self.resources += styles(data)

    def handle_endtag(self, tag):
        self._in_style = False


def styles(text: str) -> list[str]:
    """What a piece of CSS loads."""
    return [first or second for first, second in STYLE_URL.findall(text)]


def problems(site: Path) -> list[str]:
    """Sentences, each naming a page or style sheet and what is wrong with it."""
    site = site.resolve()
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site} holds no pages: build them with `mkdocs build`"]
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        # The server shows this one at any depth, so its links begin at the root of the site.
        here = site if name.name == "404.html" else path.parent
        for target in page.resources:
            found += [f"{name}: {problem}" for problem in problems_of(target, here, site, None)]
        for target in page.links:
            if not urlsplit(target).scheme and not target.startswith("//"):
                found += [f"{name}: {problem}" for problem in problems_of(target, here, site, pages, path)]
    for path in sorted(site.rglob("*.css")):
        for target in styles(path.read_text()):
            found += [f"{path.relative_to(site)}: {p}" for p in problems_of(target, path.parent, site, None)]
    return found


def problems_of(target: str, here: Path, site: Path, pages: dict[Path, Page] | None, page: Path | None = None):
    """What is wrong with one target; `pages` for a link, whose anchor counts, `None` for a resource."""
    parts = urlsplit(target)
    if parts.scheme == "data":
        return
    if parts.scheme or parts.netloc:
        yield f"loads {target} from elsewhere"
        return
    file = unquote(parts.path)
    path = page if not file else (site / file.lstrip("/") if file.startswith("/") else here / file).resolve()
    if path is not None and path.is_dir():
        path /= "index.html"
    if path is None or not path.is_file():
        yield f"{target} is not there"
    elif pages is not None and parts.fragment and path in pages:
        if unquote(parts.fragment) not in pages[path].anchors | {"top"}:
            yield f"{target} has no such anchor"


def main(folder: str) -> int:
    found = problems(Path(folder))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "site"))
