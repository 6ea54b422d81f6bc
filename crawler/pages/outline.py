"""A page's tree walked once: its pictures, texts and controls in page order, each with where on the page it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.element import PreformattedString

from crawler.facts import clean
from crawler.links import based
from crawler.pages.traits import names_of, traits
from crawler.pages.words import OTHERS_HEADING

_STRUCK_STYLE = re.compile(r"text-decoration[^;]*line-through", re.I)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_SKIPPED = {"script", "style", "template", "svg", "iframe", "object", "head", "math", "textarea"}
_BLOCKS = {"div", "p", "li", "td", "th", "dd", "dt", "section", "article", "main", "ul", "ol", "dl", "table", "tr",
           "form", "fieldset", "h1", "h2", "h3", "h4", "h5", "h6", "header", "footer", "nav", "aside", "figure",
           "figcaption", "select", "option", "button", "body", "legend", "details", "summary", "blockquote", "label",
           "html", "tbody"}
_CHROME = {"header", "footer", "nav", "aside"}
_STRUCK = {"del", "s", "strike"}
_NO_REGION = {"img", "a", "button", "input", "source", "picture", "label", "option"}
_NO_SIZES = {"option", "img", "h1", "label", "input", "a"}
# Tags that mean something without any attribute.
_WHOLE = {"body", "html", "main", "[document]"}
_PICTURES = {"img"}
_CONTROLS = {"button", "select", "input", "a", "label"}
_CRUMB_TAGS = ["nav", "div", "ol", "ul", "p", "section"]
_PLAIN = {*_CHROME, *_STRUCK, "noscript"}
_HEADINGS = {"h2", "h3", "h4", "h5", "h6"}
_MAX_RUNS = 20_000
_MOST_HEADINGS = 200


class Place(NamedTuple):
    """Where in the product's own part of a page something stands: `region` numbers its gallery region, 0 for none.

    `names` are the words of the elements around it, a line each. (A tuple: thousands are made for a page.)
    """

    region: int = 0
    swatch: bool = False
    struck: bool = False
    hidden: bool = False
    copy: bool = False
    crumbs: bool = False
    names: str = ""
    link: Tag | None = None
    block: Tag | None = None


@dataclass(slots=True)
class Run:
    """Text that stands together on the page, `struck` out or not; `order` counts along the page."""

    place: Place
    order: int
    parts: list[str]

    @property
    def text(self) -> str:
        """The text on one line."""
        return clean(" ".join(self.parts), 2000)


@dataclass(frozen=True, slots=True)
class Seen:
    """An element and where it stands."""

    tag: Tag
    place: Place
    order: int


@dataclass
class Outline:
    """What a page consists of, for the readers that come after. `heading` is the one that names its product."""

    url: str
    base: str
    language: str = ""
    page_title: str = ""
    heading: Tag | None = None
    headings: int = 0
    heading_order: int = 0
    metas: dict[str, list[str]] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    items: list[Tag] = field(default_factory=list)
    pictures: list[Seen] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    controls: list[Seen] = field(default_factory=list)
    size_boxes: list[Seen] = field(default_factory=list)
    crumbs: list[Tag] = field(default_factory=list)
    variations: list[Tag] = field(default_factory=list)
    ids: dict[str, Tag] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The text of the heading that names the page's product."""
        return clean(text_of(self.heading)) if self.heading is not None else ""


def outline(soup: BeautifulSoup, url: str) -> Outline:
    """Walk a parsed page: once along it for what is known by its tag, once down it for what depends on the place."""
    found = Outline(url, url)
    firsts, seconds = _along(soup, found)
    found.heading = _choose_heading(found, firsts)
    above = {id(tag) for tag in (found.heading.parents if found.heading is not None else ())}
    _Walk(found, above, _headed_others(seconds, above)).down(soup)
    return found


def text_of(tag: Tag) -> str:
    """A tag's visible text."""
    return " ".join(str(part) for part in _texts(tag))


def short_text(tag: Tag, longest: int = 80) -> str:
    """A tag's visible text if it is short; empty if it is not. Takes no longer for a long one."""
    parts: list[str] = []
    length = 0
    for count, part in enumerate(_texts(tag)):
        parts.append(str(part))
        length += len(part.strip())
        if length > longest or count > longest:
            return ""
    return clean(" ".join(parts), longest)


def _texts(tag: Tag) -> Iterator[NavigableString]:
    for text in tag.descendants:
        if isinstance(text, NavigableString) and not isinstance(text, PreformattedString) and (
                text.parent is None or text.parent.name not in _SKIPPED):
            yield text


def _along(soup: BeautifulSoup, found: Outline) -> tuple[list[Tag], list[Tag]]:
    """Collect what needs no place; returns the first-level and the lower headings."""
    firsts: list[Tag] = []
    seconds: list[Tag] = []
    # The tree's own chain of elements: several times as fast as its iterators.
    element: object = soup.contents[0] if soup.contents else None
    has_base = False
    while element is not None:
        if isinstance(element, Tag):
            name, attributes = element.name, element.attrs
            if name == "meta" and "content" in attributes:
                key = clean(attributes.get("property") or attributes.get("name")).lower()
                if key and (content := clean(str(attributes["content"]), 2000)):
                    found.metas.setdefault(key, []).append(content)
            elif name == "script":
                if str(attributes.get("type") or "").strip().lower().startswith("application/ld+json"):
                    found.scripts.append(element.string or element.get_text())
            elif name == "h1":
                firsts.append(element)
            elif name in _HEADINGS or "aria-level" in attributes:
                seconds.append(element)
            elif name == "base" and not has_base and "href" in attributes:
                has_base, found.base = True, based(found.url, str(attributes["href"]))
            elif name == "title" and not found.page_title:
                found.page_title = clean(element.get_text())
            elif name == "html":
                found.language = str(attributes.get("lang") or "").lower()
            if "itemscope" in attributes:
                found.items.append(element)
            if "id" in attributes:
                found.ids.setdefault(str(attributes["id"]), element)
            if "data-product_variations" in attributes:
                found.variations.append(element)
        element = element.next_element  # type: ignore[attr-defined]
    return firsts, seconds


def _choose_heading(found: Outline, firsts: list[Tag]) -> Tag | None:
    """Pick the heading that names the product: the shop's own name in the page's head is none."""
    firsts = [tag for tag in firsts[:_MOST_HEADINGS] if short_text(tag, 500)]
    outside = [tag for tag in firsts if not any(
        parent.name in _CHROME or traits(names_of(parent)).others for parent in tag.parents)]
    named = outside or [tag for tag in firsts
                        if not any(parent.name in ("nav", "footer", "aside") for parent in tag.parents)]
    found.headings = len(named)
    return next((tag for tag in named if "itemprop" in tag.attrs), named[0] if named else None)


def _headed_others(headings: list[Tag], above: set[int]) -> set[int]:
    """The elements that a heading ("You may also like") says are about other products."""
    others: set[int] = set()
    for heading in headings[:_MOST_HEADINGS]:
        text = short_text(heading)
        if not text or not OTHERS_HEADING.search(text):
            continue
        box = heading
        # A heading in a bare wrapper of its own speaks for what stands beside the wrapper.
        while (parent := box.parent) is not None and id(parent) not in above and parent.name not in ("body", "html"):
            alone = not any(isinstance(part, Tag) for part in box.next_siblings)
            if not alone and parent is not heading.parent:
                break
            box = parent
            if not alone:
                break
        others.add(id(box))
        if box.parent is not None and id(box.parent) in above and (box is heading or not box.find(["img", "a"])):
            for sibling in box.next_siblings:
                if isinstance(sibling, Tag):
                    if sibling.name == heading.name:
                        break
                    others.add(id(sibling))
    return others


class _Walk:
    """The way down the tree, with an explicit stack (pages may nest without end) that carries the place along.

    Blocks of other products, of visitors and of the shop itself are left out, save for breadcrumbs in the page's head.
    """

    def __init__(self, found: Outline, above: set[int], headed: set[int]) -> None:
        self.found = found
        self.above = above  # what the product's heading stands in
        self.headed = headed
        self.regions = 0
        self.order = 0
        self.open_run: Run | None = None

    def down(self, soup: BeautifulSoup) -> None:
        """Walk the whole tree."""
        stack: list[tuple[object, Place]] = [(soup, Place())]
        while stack:
            element, place = stack.pop()
            if not isinstance(element, Tag):
                if isinstance(element, NavigableString) and not isinstance(element, PreformattedString):
                    self._text(element, place)
                continue
            name = element.name
            self.order += 1
            if name == "br":
                self.open_run = None
            if name in _SKIPPED or not (element.attrs or element.contents):
                continue
            inner = self._placed(element, place)
            if inner is None:
                continue
            if name in _PICTURES or (name == "a" and "href" in element.attrs):
                self.found.pictures.append(Seen(element, inner, self.order))
            if name in _CONTROLS:
                self.found.controls.append(Seen(element, inner, self.order))
            if element is self.found.heading:
                self.found.heading_order = self.order
            stack.extend([(child, inner) for child in reversed(element.contents)])

    def _text(self, text: NavigableString, place: Place) -> None:
        if place.hidden or place.copy or text.isspace() or len(self.found.runs) > _MAX_RUNS:
            return
        self.order += 1
        run = self.open_run
        if run is not None and run.place.block is place.block and run.place.struck == place.struck:
            run.parts.append(str(text))
        else:
            self.open_run = Run(place, self.order, [str(text)])
            self.found.runs.append(self.open_run)

    def _placed(self, tag: Tag, place: Place) -> Place | None:
        """The place within a tag; None where others' matter begins."""
        name, attributes = tag.name, tag.attrs
        block = tag if name in _BLOCKS or "-" in name else place.block
        if not attributes and name not in _PLAIN and id(tag) not in self.headed:
            return place if block is place.block else place._replace(block=block)
        own = id(tag) in self.above or name in _WHOLE
        names = names_of(tag) if attributes and name not in _WHOLE else ""
        said = traits(names)
        if not own and (name in _CHROME or id(tag) in self.headed
                        or (said.others_in_gallery if place.region else said.others)):
            self._crumbs_in(tag)
            return None
        region = place.region
        if not region and said.region and not own and name not in _NO_REGION:
            self.regions += 1
            region = self.regions
        style = str(attributes.get("style") or "")
        inner = Place(
            region, place.swatch or said.swatch,
            place.struck or name in _STRUCK or (said.struck and not own) or bool(style and _STRUCK_STYLE.search(style)),
            place.hidden or "hidden" in attributes or bool(style and _HIDDEN_STYLE.search(style)),
            place.copy or name == "noscript", place.crumbs or said.crumbs,
            f"{place.names}\n{names}"[-300:] if names else place.names,
            tag if name == "a" and "href" in attributes else place.link, block)
        if said.crumbs and not place.crumbs and not own:
            self.found.crumbs.append(tag)
        if said.sizes and not own and name not in _NO_SIZES:
            self.found.size_boxes.append(Seen(tag, inner, self.order))
        return inner

    def _crumbs_in(self, tag: Tag) -> None:
        """Note the breadcrumbs that stand in a page's head, or are navigation themselves."""
        if traits(names_of(tag)).crumbs:
            self.found.crumbs.append(tag)
        elif tag.name in ("header", "nav") and len(self.found.crumbs) < 5:
            self.found.crumbs += [inner for inner in tag.find_all(_CRUMB_TAGS) if traits(names_of(inner)).crumbs][:1]
