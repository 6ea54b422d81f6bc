"""Addresses of pictures: what renditions of one have in common, how large each says it is, and the original's."""

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit, urlunsplit

_EXTENSION = r"(?=\.(?:jpe?g|png|webp|avif|gif|bmp|tiff?)(?:\.(?:webp|avif))?$)"
# Parameters that ask for a size, a quality or a crop of the same picture.
_SIZE_NAMES = {"w", "h", "width", "height", "wid", "hei", "size", "sw", "sh", "quality", "q", "fit", "crop", "dpr",
               "imwidth", "resize"}
_FORMAT_NAMES = {"format", "auto", "fm", "fmt", "v"}
_SHOPIFY = re.compile(
    r"(?:_(?:\d{1,4}x\d{0,4}|x\d{1,4}|pico|icon|thumb|small|compact|medium|large|grande|master)(?:_crop_\w+)?"
    rf"|_crop_(?:center|top|bottom|left|right))?(?:@[23]x)?(?:\.progressive)?{_EXTENSION}", re.I)
_DIMENSIONS = re.compile(rf"[-_](?:\d{{2,4}}x\d{{0,4}}|x\d{{2,4}})(?:_crop_(?:center|top|bottom|left"
                         rf"|right))?(?:@[23]x)?{_EXTENSION}",
                         re.I)
_UNDERSCORED = re.compile(rf"_(?:\d{{1,4}}x\d{{0,4}}|x\d{{1,4}})(?:_crop_(?:center|top|bottom|left"
                          rf"|right))?(?:@[23]x)?{_EXTENSION}",
                          re.I)
_DENSITY = re.compile(rf"@[23]x{_EXTENSION}", re.I)
_WORDPRESS = re.compile(rf"-\d{{2,4}}x\d{{2,4}}{_EXTENSION}", re.I)
_SCALED = re.compile(rf"-scaled{_EXTENSION}", re.I)
_WORD = re.compile(rf"[-_](thumb(?:nail)?|tiny|small|medium|compact|large|grande|big|zoom|xl|full"
                   rf"|orig(?:inal)?){_EXTENSION}", re.I)
_WORD_SIZES = {"thumb": 100.0, "thumbnail": 100.0, "tiny": 60.0, "small": 200.0, "compact": 250.0, "medium": 500.0,
               "large": 1000.0, "grande": 1000.0, "big": 1200.0, "zoom": 1600.0, "xl": 1600.0}
_CLOUDINARY = re.compile(r"(/(?:image|[\w-]+)/upload/)((?:[a-z]{1,3}_[^/,]+(?:,[a-z]{1,3}_[^/,]+)*/)+)")
_CLOUDINARY_SIZE = re.compile(r"^(?:w|h|c|q|f|g|ar|dpr)_")
_CAFE24 = re.compile(r"(/product/(?:extra/)?)(?:tiny|small|medium)/", re.I)
_NAVER = re.compile(r"^[a-z]{1,2}\d{2,4}(?:_\d{2,4})?(?:_\w+)?$")
_NO_PHOTO = re.compile(
    r"^(?:icon|ico|sprite|blank|spacer|pixel|loading|loader|spinner|btn|bullet|arrow|1x1|transparent)s?(?:[-_.\d]|$)"
    r"|(?:^|[-_.])(?:logo|placeholder|no[-_]?(?:image|img|photo|picture)|noimg|image-?coming-?soon|coming-?soon"
    r"|default-?image|sold-?out"
    r"|payment|pay-?methods?|visa|mastercard|paypal|klarna|amex|apple-?pay|kakao-?pay|naver-?pay|size-?(?:chart"
    r"|guide)|share"
    r"|share-?(?:image|banner|default)|og-?(?:image|default|banner)|social)s?(?:[-_.@\d]|$)|(?:^|[-_])banner|\.svg$",
    re.I)
_NO_PHOTO_PATH = re.compile(r"/(?:icons?|logos?|sprites?|payments?|payment-icons|placeholders?|badges?|flags?)/", re.I)


def is_photo(url: str) -> bool:
    """Whether an address can be that of a photo; logos, icons, placeholders and share banners by their names."""
    path = _split(url).path
    return not (_NO_PHOTO.search(path.rpartition("/")[2]) or _NO_PHOTO_PATH.search(path))


def original(url: str) -> str:
    """The address of a picture's original, as far as the marks of known shop software and picture servers tell."""
    parts = _split(url)
    if "/_next/image" in parts.path:
        inner = next((value for name, value in parse_qsl(parts.query) if name == "url"), "")
        return original(urljoin(url, inner)) if inner and "/_next/image" not in inner else url
    path = parts.path
    if "/cdn/shop/" in path or parts.netloc.endswith("shopify.com") or _UNDERSCORED.search(path):
        path = _UNDERSCORED.sub("", path)
    path = _DENSITY.sub("", path)
    if "/wp-content/uploads/" in path:
        path = _WORDPRESS.sub("", path)
    path = _CAFE24.sub(r"\1big/", path)
    path = _CLOUDINARY.sub(_without_sizes, path)
    query = "&".join(part for part in parts.query.split("&") if part and not _asks_for_size(part))
    return urlunsplit(parts._replace(path=path, query=query))


def same_picture(url: str) -> str:
    """What the addresses of one picture in several sizes have in common."""
    parts = urlsplit(original(url))
    path = _SCALED.sub("", _WORD.sub("", _DIMENSIONS.sub("", parts.path)))
    query = "&".join(part for part in parts.query.split("&")
                     if part.partition("=")[0].lower() not in _FORMAT_NAMES)
    return f"{parts.netloc.lower()}{unquote(path)}?{query}"


def size_named(url: str) -> float:
    """How wide an address says its picture is; one that names no size is the original."""
    parts = _split(url)
    path = parts.path
    numbers = [int(value) for name, value in parse_qsl(parts.query)
               if name.lower() in ("w", "width", "wid", "imwidth", "sw", "size") and value.isdigit() and len(value) < 6]
    if match := _DIMENSIONS.search(path) or _UNDERSCORED.search(path):
        numbers += [int(number) for number in re.findall(r"\d+", match[0].partition("@")[0])] or [1]
    if match := _CLOUDINARY.search(path):
        numbers += [int(number) for number in re.findall(r"(?:^|[,/])w_(\d{1,5})", match[2])]
    if match := re.search(r"/product/(?:extra/)?(tiny|small|medium)/", path, re.I):
        numbers.append(int(_WORD_SIZES[match[1].lower()]))
    if match := _WORD.search(path):
        numbers += [int(_WORD_SIZES[word])] if (word := match[1].lower()) in _WORD_SIZES else []
    return float(max(numbers)) if numbers else float("inf")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # http://[
        return urlsplit("")


def _asks_for_size(part: str) -> bool:
    name, _, value = part.partition("=")
    return name.lower() in _SIZE_NAMES or (name == "type" and bool(_NAVER.match(value)))


def _without_sizes(match: re.Match[str]) -> str:
    kept = []
    for component in match[2].strip("/").split("/"):
        pieces = component.split(",")
        if any(re.match(r"[whcqf]_", piece) for piece in pieces):
            pieces = [piece for piece in pieces if not _CLOUDINARY_SIZE.match(piece)]
        if pieces:
            kept.append(",".join(pieces) + "/")
    return match[1] + "".join(kept)
