"""The photos of a product page that show its own product: not the logo, not the shoes one may also like."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bs4 import Tag

from crawler.links import absolute
from crawler.pages.outline import Outline, Seen
from crawler.pages.renditions import is_photo, original, same_picture, size_named

_PICTURE = re.compile(r"\.(jpe?g|png|webp|avif|gif)$", re.I)
_ZOOMS = ("data-large_image", "data-zoom-image", "data-zoom", "data-zoom-src", "data-full", "data-large", "data-big",
          "data-original", "data-hires", "data-high-res", "data-image-large", "data-src-large", "data-full-src",
          "data-large-image", "data-zoom-img", "data-magnify-src", "data-old-hires")
_SOURCES = ("data-lazy-src", "data-lazy", "data-src", "data-echo", "data-ll-src", "ec-data-src", "data-original-src",
            "src")
_SRCSETS = ("data-srcset", "data-lazy-srcset", "srcset", "data-lazyset")
_CANDIDATE = re.compile(r"([^\s,]\S*?)(?:\s+(\d+(?:\.\d+)?)([wx]))?\s*(?:,\s+|,?$|,(?=https?:|/))")
# What a script would fill in with a size.
_TEMPLATE = re.compile(r"_?\{\w+\}x?(?:\{\w+\})?", re.I)
_SMALLEST = 64
_MOST = 200
_APART = -1
# Pixels across as far as they are known, and what wins among equals.
Width = tuple[float, int]
_Candidate = tuple[Seen, dict[str, Width]]


@dataclass(frozen=True)
class Picture:
    """The addresses of one picture's renditions, the one expected to be largest first, those given by the page last."""

    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("a picture needs an address")


def pictures(links: Iterable[str], page: Outline | None = None) -> list[Picture]:
    """The product's pictures: those of `links` (of structured data) first, then those of the page's own gallery.

    One picture in several sizes is taken once: first the largest that the page names, its known size marks taken off,
    then the addresses as they were given.
    """
    given: dict[str, dict[str, Width]] = {}
    for link in links:
        _add(given, same_picture(link), link, (size_named(link), 0))
    if page is not None:
        for group in own_pictures(page, set(given)):
            keys = [same_picture(link) for link in group]
            key = next((key for key in keys if key in given), keys[0])
            for link, width in group.items():
                _add(given, key, link, width)
    return [_picture(found) for found in list(given.values())[:_MOST]]


def own_pictures(page: Outline, known: set[str]) -> list[dict[str, Width]]:
    """The pictures of the page's gallery in page order, each with the addresses and widths of its renditions.

    `known` are the `same_picture` keys of what structured data names. Without them, the page needs one main heading.
    """
    candidates = [(seen, links) for seen in page.pictures if (links := _renditions(seen, page))]
    if not known and page.headings != 1:
        return []
    inside = [(seen, links) for seen, links in candidates if seen.place.region]
    if known and page.headings != 1 and not any(same_picture(link) in known for _, links in inside for link in links):
        return []
    if not inside:
        inside = _beside_heading(page, candidates)
    return [links for _, links in inside]


def _add(given: dict[str, dict[str, Width]], key: str, link: str, width: Width) -> None:
    if link and is_photo(link):
        known = given.setdefault(key, {})
        # Who says less of a rendition's width knows more: an address without a mark may be anything.
        known[link] = min(known.get(link, width), width)


def _picture(given: dict[str, Width]) -> Picture:
    ordered = sorted(given, key=lambda link: given[link], reverse=True)
    whole = absolute(ordered[0], original(ordered[0]))  # what is quoted in an address may be none
    return Picture(tuple(dict.fromkeys([*filter(None, [whole]), *ordered])))


def _beside_heading(page: Outline, candidates: list[_Candidate]) -> list[_Candidate]:
    """Where no gallery is named: the pictures of the smallest element around the heading that holds any."""
    met: dict[int, int] = {}  # elements, by how far above the heading the element is that they share with it
    for steps, box in enumerate(page.heading.parents if page.heading is not None else ()):
        if box.name in ("body", "html", "[document]"):
            break
        met[id(box)] = steps
    found: dict[int, list[_Candidate]] = {}
    for seen, links in candidates:
        if not seen.place.copy and (steps := _steps(seen.tag, met)) != _APART:
            found.setdefault(steps, []).append((seen, links))
    return found[min(found)] if found else []


def _steps(tag: Tag, met: dict[int, int]) -> int:
    """How far above the heading the smallest element is that holds the tag, too; each way up is walked once."""
    way = []
    box = tag.parent
    while box is not None and id(box) not in met:
        way.append(id(box))
        box = box.parent
    steps = met[id(box)] if box is not None else _APART
    met.update(dict.fromkeys(way, steps))
    return steps


def _renditions(seen: Seen, page: Outline) -> dict[str, Width]:
    """The addresses a tag of the product's own names, with their widths; empty for what is no photo of it."""
    tag, place = seen.tag, seen.place
    if place.swatch or place.crumbs:
        return {}
    if tag.name == "a":
        # A link around a picture is told with the picture.
        if not _PICTURE.search(_path(str(tag.get("href") or ""))) or tag.find("img") is not None:
            return {}
    elif tag.name == "source" or _too_small(tag) or _leads_elsewhere(place.link, page):
        return {}
    found: dict[str, Width] = {}
    for name, width in _named(tag, place.link):
        name = _TEMPLATE.sub("", name)
        if (link := absolute(page.base, name)) and is_photo(link):
            found[link] = min(found.get(link, width), width)
    return found


def _named(tag: Tag, around: Tag | None) -> Iterator[tuple[str, Width]]:
    """Every address that a tag names and how wide that is, as far as it says."""
    attributes = tag.attrs
    for name in _ZOOMS:
        if (value := str(attributes.get(name) or "")) and _spelled_as_address(value):
            yield value, (float("inf"), 2)
    if around is not None and _PICTURE.search(_path(href := str(around["href"]))):
        yield href, (float("inf"), 1)
    if tag.name == "a":
        return
    sources = tag.parent.find_all("source", recursive=False) if tag.parent and tag.parent.name == "picture" else []
    sized = [max(candidates) for one in (tag, *sources) for name in _SRCSETS
             if name in one.attrs and (candidates := list(_srcset(str(one.attrs[name]))))]
    for width, link in sized:
        yield link, (width, 0)
    for name in _SOURCES:
        value = str(attributes.get(name) or "")
        if value and not value.startswith("data:"):
            # What stands beside a choice of sizes is one of the smaller.
            yield value, (min(size_named(value), max(sized)[0] - 1) if sized else size_named(value), 0)


def _srcset(text: str) -> Iterator[tuple[float, str]]:
    """The candidates of a srcset with their widths; a screen's density counts as thousands."""
    for match in _CANDIDATE.finditer(text[:20_000]):
        if not match[1].startswith("data:") and match[1] != ",":
            yield float(match[2] or 1) * (1 if match[3] == "w" else 1000), match[1]


def _spelled_as_address(value: str) -> bool:
    return "/" in value or bool(_PICTURE.search(value))


def _leads_elsewhere(link: Tag | None, page: Outline) -> bool:
    """Whether the picture is a link to another page, as the pictures of other products are."""
    href = str(link["href"]).strip() if link is not None else ""
    if not href or href.startswith(("#", "javascript:")) or _PICTURE.search(_path(href)):
        return False
    return _path(absolute(page.base, href)) != _path(page.url)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _too_small(tag: Tag) -> bool:
    return any((side := str(tag.attrs.get(name) or "").removesuffix("px")).isdigit() and len(side) < 6
               and int(side) < _SMALLEST for name in ("width", "height"))


def largest(tag: Tag, page: Outline) -> str:
    """The address of the largest rendition that one element (or the first picture in it) names."""
    inner = tag if tag.name in ("img", "a", "source") else tag.find("img")
    if inner is None:
        return ""
    around = inner if inner.name == "a" else inner.find_parent("a", href=True)
    named = {link: width for name, width in _named(inner, around) if (link := absolute(page.base, name))}
    return max(named, key=lambda link: named[link], default="")
