"""A page of a report as tests read it."""

import base64
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """What a page is made of; fails on tags that do not pair."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def of(self, *tags):
        return [attributes for tag, attributes in self.tags if tag in tags]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def images(self):
        """The SVG of each image."""
        return [base64.b64decode(image["src"].partition("base64,")[2]).decode() for image in self.of("img")]
