"""The photos of a product page that show its own product: not the logo, not the shoes one may also like."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag

from crawler.links import absolute, base_of

_REGION = re.compile(r"(^|[-_ ])(gallery|swiper|carousel|slider|(product|prd|goods|item|detail)[-_]*"
                     r"(image|img|photo|media|picture|gallery|slider|thumb)s?)", re.I)
_OTHERS = re.compile(r"relat|recommend|also|similar|upsell|cross[-_]?sell|recent|viewed|review|rating|footer|header"
                     r"|nav|menu|breadcrumb|payment|badge|banner|social|instagram|logo|sidebar|cart", re.I)
_NO_PHOTO = re.compile(r"^(logo|icon|sprite|blank|spacer|pixel|loading|spinner)s?([-_.\d]|$)"
                       r"|(^|[-_.])(placeholder|no[-_]?image|noimg)([-_.]|$)|\.svg$", re.I)
_PICTURE = re.compile(r"\.(jpe?g|png|webp|avif|gif)$", re.I)
# What shops append to a picture's name or query to ask for another size of it.
_SIZE_MARK = re.compile(r"([-_](\d{2,4}x\d{0,4}|\d{0,4}x\d{2,4}|thumb(nail)?|small|medium|large|grande|compact))"
                        r"(@[23]x)?(?=\.\w{3,4}$)", re.I)
_SIZE_NAMES = {"w", "h", "width", "height", "wid", "hei", "size", "sw", "sh", "quality", "q", "fit", "crop", "format",
               "auto", "dpr", "imwidth"}
_ATTRIBUTES = ("data-large_image", "data-zoom-image", "data-zoom", "data-full", "data-original", "data-lazy-src",
               "data-src", "src")
_SMALLEST = 64


@dataclass(frozen=True)
class Picture:
    """The addresses of one picture's renditions, the one expected to be largest first, that given by the page last."""

    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("a picture needs an address")


def gallery(soup: BeautifulSoup, url: str, known: Iterable[str] = ()) -> list[Picture]:
    """The product's pictures: `known` ones (of structured data) first, then those of the page's gallery.

    One picture in several sizes is taken once, in the largest that the page names.
    """
    base = base_of(soup, url)
    known = [link for link in known if not _is_no_photo(link)]
    regions = [list(_pictures(region, base, url)) for region in _regions(soup)]
    regions = [pictures for pictures in regions if pictures]
    keys = {same_picture(link) for link in known}
    own = next((pictures for pictures in regions if keys & {same_picture(link) for link in pictures}),
               regions[0] if regions and (not known or _beside_heading(soup)) else [])
    best: dict[str, str] = {}
    for link in [*known, *own]:
        key = same_picture(link)
        if key not in best or _size_named(link) > _size_named(best[key]):
            best[key] = link
    return [Picture((link,)) for link in best.values()]


def same_picture(url: str) -> str:
    """What the addresses of one picture in several sizes have in common."""
    parts = urlsplit(url)
    query = "&".join(part for part in parts.query.split("&") if part.partition("=")[0].lower() not in _SIZE_NAMES
                     and part.partition("=")[0] != "v")
    return f"{parts.netloc}{_SIZE_MARK.sub('', parts.path)}?{query}"


def _regions(soup: BeautifulSoup) -> Iterator[Tag]:
    """Elements that call themselves a product's gallery, outermost first, outside blocks of other products."""
    taken: list[Tag] = []
    for tag in soup.find_all(["div", "section", "ul", "figure", "main", "article"]):
        named = _names(tag)
        if not _REGION.search(named) or _OTHERS.search(named):
            continue
        above = list(tag.parents)
        if any(parent in taken for parent in above) or any(_is_others(parent) for parent in above):
            continue
        taken.append(tag)
        yield tag


def _beside_heading(soup: BeautifulSoup) -> bool:
    """Whether the page has one main heading, so that its first gallery is that product's."""
    return len(soup.find_all("h1")) == 1


def _pictures(region: Tag, base: str, url: str) -> Iterator[str]:
    for tag in region.find_all(["img", "source", "a"]):
        link = absolute(base, _largest(tag))
        if not link or _too_small(tag) or _is_no_photo(link):
            continue
        above = [parent for parent in tag.parents if region in parent.parents]
        if any(_is_others(parent) for parent in above) or _leads_elsewhere(tag, base, url):
            continue
        yield link


def _largest(tag: Tag) -> str:
    """The address of the largest rendition a tag names; empty for none and for data URIs."""
    if tag.name == "a":
        href = str(tag.get("href") or "")
        return href if _PICTURE.search(urlsplit(href).path) else ""
    for name in _ATTRIBUTES[:5]:
        if tag.get(name):
            return str(tag[name])
    sized = [(float(match[2] or 0), match[1]) for name in ("data-srcset", "srcset")
             for match in re.finditer(r"(\S+?)(?:\s+([\d.]+)[wx])?\s*(?:,\s+|,?$)", str(tag.get(name) or ""))
             if not match[1].startswith("data:")]
    if sized:
        return max(sized, key=lambda pair: pair[0])[1]
    found = (str(tag.get(name) or "") for name in _ATTRIBUTES[5:])
    return next((link for link in found if link and not link.startswith("data:")), "")


def _leads_elsewhere(tag: Tag, base: str, url: str) -> bool:
    """Whether the picture is a link to another page, as the pictures of other products are."""
    link = tag.find_parent("a", href=True)
    href = str(link["href"]) if link is not None else ""
    if not href or href.startswith(("#", "javascript:")) or _PICTURE.search(urlsplit(href).path):
        return False
    return urlsplit(absolute(base, href)).path != urlsplit(url).path


def _too_small(tag: Tag) -> bool:
    return any(str(tag.get(side) or "").isdigit() and int(str(tag[side])) < _SMALLEST for side in ("width", "height"))


def _is_no_photo(link: str) -> bool:
    return bool(_NO_PHOTO.search(urlsplit(link).path.rpartition("/")[2]))


def _is_others(tag: Tag) -> bool:
    return tag.name in ("header", "footer", "nav", "aside") or (
        tag.name not in ("body", "html", "main", "[document]") and bool(_OTHERS.search(_names(tag))))


def _names(tag: Tag) -> str:
    classes: object = tag.get("class") or []
    return " ".join([*(classes if isinstance(classes, list) else [str(classes)]), str(tag.get("id") or "")])


def _size_named(url: str) -> float:
    """How wide an address says its picture is; one that names no size is the original."""
    parts = urlsplit(url)
    numbers = [int(number) for number in re.findall(r"(?:^|&)(?:w|width|wid|imwidth|sw)=(\d{1,5})", parts.query, re.I)]
    if match := _SIZE_MARK.search(parts.path):
        numbers += [int(number) for number in re.findall(r"\d+", match[0])] or [1]
    return max(numbers) if numbers else float("inf")
