"""Reading a page as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Texts and tags of a page; asserts that every tag is closed."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All texts, white space made one."""
        return " ".join(" ".join(self.texts).split())

    @property
    def leads_outside(self) -> list[str]:
        """Addresses that opening the page would fetch."""
        found = [
            str(value)
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in ("src", "href", "xlink:href", "data") and value and not value.startswith("#")
        ]
        return found + [text for text in self.texts if "@import" in text or "url(http" in text]
