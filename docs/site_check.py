"""Read a built site as a browser does: every link and anchor leads somewhere in it, and nothing is loaded from elsewhere.

python docs/site_check.py SITE
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Document", "problems"]

#: Attributes whose address a browser loads without being asked, by element.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src", "audio": "src", "object": "data"}
#: What ``<link>`` says that is not loaded.
SAID = {"canonical", "next", "prev", "alternate"}
_ADDRESS_OF_STYLE = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


class Document(HTMLParser):
    """What a page links to, what it loads, and the names that can be linked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's addresses and names."""
        values = {name: value or "" for name, value in attrs}
        self.names |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        address = values.get(LOADED.get(tag, ""))
        if address and not SAID & set(values.get("rel", "").split()):
            self.loaded.append(address)
        self.loaded += _ADDRESS_OF_STYLE.findall(values.get("style", ""))


def is_foreign(address: str) -> bool:
    """Whether a browser would ask another machine for it."""
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ws", "wss")


def problems(site: Path) -> list[str]:
    """What is wrong with a site, a line each."""
    documents = {path: Document(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    lines = []
    for path, document in documents.items():
        name = path.relative_to(site)
        lines += [f"{name} loads {address}" for address in document.loaded if is_foreign(address)]
        if path.name == "404.html":  # its links are from the root of wherever the site is served
            continue
        for address in [*document.links, *document.loaded]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                lines.append(f"{name}: {address} leads nowhere")
            elif parts.fragment and target in documents and unquote(parts.fragment) not in documents[target].names:
                lines.append(f"{name}: {address} has no such place")
    for path in sorted(site.rglob("*.css")):
        lines += [f"{path.relative_to(site)} loads {address}" for address in _ADDRESS_OF_STYLE.findall(path.read_text(encoding="utf-8"))]
    return lines if documents else [f"{site} holds no page"]


if __name__ == "__main__":
    found_wrong = problems(Path(sys.argv[1]).resolve())
    print(*found_wrong, sep="\n")
    sys.exit(1 if found_wrong else 0)
