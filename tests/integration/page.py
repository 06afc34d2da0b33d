"""A page of a report as tests read it."""

import base64
import re
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


def rows_of(page, part):
    """The cells of each row of one part of the page, by the words of its header cell; of rows alike the last."""
    rows = {}
    page = page.partition(f'<h2 id="{part}">')[2].partition("<h2")[0]
    for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", page, re.S):
        head, *cells = (re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S))
        rows[head] = [cell.strip() for cell in cells]
    return rows
