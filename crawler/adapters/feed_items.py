"""The items of a Google Merchant feed as they are written, one at a time: RSS, Atom, tab- or comma-separated."""

import csv
import io
from collections.abc import Iterator

from lxml import etree

from catalogue.errors import FetchFailed
from crawler.unpacking import Unpacked
from crawler.xml_answers import XmlAnswer, local_name

MAX_BYTES = 400_000_000
_GOOGLE = "{http://base.google.com/ns/1.0}"
_WANTED = {"id", "title", "link", "image_link", "additional_image_link", "price", "sale_price",
           "sale_price_effective_date", "availability", "brand", "mpn", "gtin", "color", "size", "item_group_id",
           "product_type"}
_LISTS = {"item", "entry"}
_ROOTS = {"rss", "feed", "rdf", "channel"}
_LONGEST_CELL = 131_072

Item = dict[str, list[str]]


class FeedItems:
    """The items of one feed, each field with all its values; `problem` is told when they have all been read."""

    def __init__(self, body: bytes, url: str) -> None:
        self._body = body
        self._url = url
        self.problem = ""

    def __iter__(self) -> Iterator[Item]:
        if _beginning(self._body).startswith((b"<", b"\xff\xfe<", b"\xfe\xff")):
            return self._of_xml()
        return self._of_table()

    def _of_xml(self) -> Iterator[Item]:
        answer = XmlAnswer(self._body, MAX_BYTES)
        for node in answer.elements(_LISTS):
            yield _item(node)
        if answer.root not in _ROOTS:
            raise FetchFailed(f"{self._url} is no product feed ({answer.problem or f'it is <{answer.root}>'}); "
                              "check the address in a browser")
        self.problem = answer.problem

    def _of_table(self) -> Iterator[Item]:
        stream = Unpacked(self._body)
        lines = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", errors="replace", newline="")
        try:
            header = lines.readline(_LONGEST_CELL)
            mark = "\t" if "\t" in header else ";" if header.count(";") > header.count(",") else ","
            names = [name.strip().lower().removeprefix("g:").replace(" ", "_")
                     for name in next(csv.reader([header], delimiter=mark), [])]
            if not {"title", "link"} <= set(names):
                raise FetchFailed(f"{self._url} is no product feed: it is neither XML nor a table with the columns "
                                  "title and link; check the address in a browser")
            # Quotes are part of the text in tab-separated feeds unless they stand around the whole of it.
            for row in csv.reader((line.replace("\0", "") for line in lines), delimiter=mark):
                if any(row):
                    yield {name: [cell] for name, cell in zip(names, row, strict=False) if cell and name in _WANTED}
        except csv.Error as error:
            self.problem = f"it is a broken table ({error}); what came before was read"
        self.problem = self.problem or stream.problem


def _item(node: etree._Element) -> Item:
    """The values of an item's fields; those of Google's own names come before the feed's."""
    google: Item = {}
    plain: Item = {}
    for part in node.iterchildren():
        name = local_name(part)
        if name not in _WANTED:
            continue
        # Atom's links are attributes; its other relations lead elsewhere.
        text = part.text or ("" if part.get("rel", "alternate") != "alternate" else part.get("href") or "")
        if text.strip():
            of = google if str(part.tag).startswith(_GOOGLE) else plain
            of.setdefault(name, []).append(text.strip())
    return {**plain, **google}


def _beginning(body: bytes) -> bytes:
    return (Unpacked(body).read(512) or b"").removeprefix(b"\xef\xbb\xbf").lstrip()
