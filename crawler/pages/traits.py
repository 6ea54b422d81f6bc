"""What an element's own words (class, id, label) say of what stands in it."""

import re
from dataclasses import dataclass
from functools import lru_cache

from bs4 import Tag

_EDGE, _END = r"(?:^|[-_ ])", r"(?:[-_ ]|$)"
# Blocks of other products, of visitors, or of the shop itself.
_FOREIGN = (
    r"relat(?:ed|ion)|recommend|also[-_ ]?(?:like|bought|viewed)|may[-_ ](?:also|like)|similar|up-?_?sell"
    r"|cross[-_]?sell"
    rf"|{_EDGE}recent(?:ly)?{_END}|recently|viewed|last[-_]seen|testimonial|instagram|{_EDGE}(?:insta|ugc|sns){_END}"
    rf"|{_EDGE}(?:customer|product|photo|user)?-?reviews?(?:{_END}(?:list|gallery|section|photos?|images?|wrap\w*"
    rf"|area|board"
    r"|tab|block|container|widget|carousel|slider|content)|$| )|ähnlich|empfehl|관련|추천|최근|리뷰"
    rf"|{_EDGE}suggest|{_EDGE}others?[-_]?(?:product|item|goods|shoe)s?")
_CHROME = (
    r"footer|newsletter|cookie|site-?header|page-?header|(?:^| )(?:nav|menu|header|gnb|lnb|topbar|top-bar)(?: |$)"
    rf"|{_EDGE}(?:main|site|global|mega|primary|top|mobile)[-_]?(?:nav|navigation|menu)|payment|sidebar|mini-?cart"
    r"|cart-?drawer|side-?cart|best-?sell|new-?arrival|ranking|trending|popular|complete[-_]the|shop[-_]the"
    rf"|{_EDGE}bundles?{_END}|frequently|pairs?[-_ ]with|{_EDGE}(?:advert\w*|ads?){_END}|{_EDGE}banners?{_END}"
    rf"|announcement|{_EDGE}(?:product|prd|goods)s?[-_]?(?:grid|list|card|tile|teaser)s?(?: |$)|{_EDGE}(?:badge"
    rf"|social|share)s?{_END}")
_OTHERS, _OTHERS_IN_GALLERY = re.compile(f"{_FOREIGN}|{_CHROME}", re.I), re.compile(_FOREIGN, re.I)
_OWN = r"product|prd|prod|goods|item|detail|pdp|main|big|key|zoom|shoe|artikel|produkt|article|produit"
_PICTURES = r"image|img|photo|media|pic|picture|bild|bilder|thumb|thumbnail|visual|foto"
_REGION = re.compile(
    r"galler(?:y|ie|ia)|swiper|carousel|slider|slick|splide|flickity|lightbox|fotorama|이미지|갤러리"
    rf"|{_EDGE}(?:{_OWN})[-_]*(?:single[-_]*)?(?:{_PICTURES})(?:er|s|es)?(?:{_END}|[-_]?area)"
    rf"|{_EDGE}(?:{_PICTURES})s?[-_]*(?:list|area|wrap|wrapper|viewer|box|container|grid|stage|strip|slides?|nav"
    rf"|set|zoom)(?:{_END})"
    rf"|{_EDGE}(?:thumbs|thumbnails|photos|fotos|bilder|imgs|pictures|images|viewer|visuals?){_END}", re.I)
_STRUCK = re.compile(
    r"line-?through|strike|struck|crossed"
    rf"|{_EDGE}(?:old|was|before|compare(?:-?at)?|regular|original|list|former|previous|consumer|custom|org|origin"
    rf"|rrp|msrp"
    r"|uvp|retail|normal|alt|statt|prev|high|barre|barré|ancien)[-_]*(?:price|prc|amount|preis|prix|cost|value)"
    rf"|{_EDGE}(?:price|preis|prix|prc)[-_]*(?:old|was|before|compare\w*|regular|original|list|former|previous|rrp"
    rf"|msrp|uvp"
    rf"|alt|statt|barre|barré|ancien|consumer|org){_END}", re.I)
_SWATCH = re.compile(r"swatch|colou?r-?(?:option|chip|list|picker|select\w*|variant|thumb)s?|colou?rways?|siblings",
                     re.I)
_SIZES = re.compile(rf"{_EDGE}sizes?{_END}|[sS]ize-?(?:[lL]ist|[oO]ption|[sS]elect|[bB]ox|[bB]tn|[bB]utton|[pP]icker)"
                    r"|사이즈|größe|groesse|taille|pointure|サイズ")
_NO_SIZES = re.compile(r"size-?_?(?:chart|guide|table|info|help|link)|font-size|full-?size|(?:small|large|x)[-_]size",
                       re.I)
_CRUMBS = re.compile(rf"bread-?_?crumb|{_EDGE}crumbs?{_END}|현재 ?위치|パンくず|fil-?d-?ariane|brotkrumen"
                     rf"|{_EDGE}topic-?path|(?:^| )(?:path|location(?:[-_](?:wrap|cont|area|box|list))?|navi-?path"
                     rf"|line-?map)(?: |$)", re.I)


@dataclass(frozen=True, slots=True)
class Traits:
    """What the words say: a block of others (also within a gallery), a gallery, colour swatches, a struck-out price, a
    choice of sizes, a breadcrumb."""

    others: bool = False
    others_in_gallery: bool = False
    region: bool = False
    swatch: bool = False
    struck: bool = False
    sizes: bool = False
    crumbs: bool = False


def names_of(tag: Tag) -> str:
    """What an element calls itself: class, id and label, and its tag if the shop made that up."""
    attributes = tag.attrs
    if not attributes:
        return tag.name if "-" in tag.name else ""
    classes = attributes.get("class") or ""
    named = [" ".join(classes) if isinstance(classes, list) else str(classes)]
    for name in ("id", "data-testid", "data-section-type", "data-component", "aria-label"):
        if value := attributes.get(name):
            named.append(str(value)[:100])
    if "-" in tag.name:
        named.append(tag.name)
    return " ".join(named)[:400]


@lru_cache(maxsize=4096)
def traits(names: str) -> Traits:
    """Read an element's words; the same words are read once."""
    if not names:
        return Traits()
    return Traits(bool(_OTHERS.search(names)), bool(_OTHERS_IN_GALLERY.search(names)), bool(_REGION.search(names)),
                  bool(_SWATCH.search(names)), bool(_STRUCK.search(names)),
                  bool(_SIZES.search(names)) and not _NO_SIZES.search(names), bool(_CRUMBS.search(names)))
