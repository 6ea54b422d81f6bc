"""One line of a JSON-lines push: what it may say of a listing or product, and reading and writing it."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalogue.errors import BadInput
from catalogue.identity import is_gtin
from catalogue.imports import is_address
from catalogue.listings import FoundListing

Line = Annotated[str, Field(max_length=1000)]
_LISTING = ("title", "brand", "model_name", "group", "colour", "style_code", "gtins", "shoe_type", "category", "price",
            "list_price", "currency", "available", "sizes", "sources")


@dataclass(frozen=True)
class PushedPhoto:
    """A photo of a line: a file (a path relative to the line's file), the address it is from, or both."""

    path: str = ""
    url: str = ""


class PushedPlace(BaseModel):
    """A photo as an object."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str = ""
    url: str = ""


class PushedLine(BaseModel):
    """One JSON object: a shop's listing (with `shop` and `url`), or a product without any (with an `origin`).

    `origin` names a product that no shop sells, `<set>/<slug>`; without one it is made of the file's name, the brand
    and the style code, or the title and colour where there is none. No two lines of a file may have the same one: all
    photos of a product stand on its line. `photos` are paths, addresses, or objects of a `path` and the `url` it came
    from. `gtins` are digits without spaces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    shop: Annotated[str, Field(max_length=200)] = ""
    url: Line = ""
    origin: Annotated[str, Field(max_length=190)] = ""
    title: Annotated[str, Field(min_length=1)]
    brand: str = ""
    model_name: str = ""
    group: str = ""
    colour: str = ""
    style_code: str = ""
    gtins: tuple[str, ...] = ()
    shoe_type: str = ""
    category: str = ""
    price: Annotated[Decimal, Field(gt=0, lt=10**12, allow_inf_nan=False)] | None = None
    list_price: Annotated[Decimal, Field(gt=0, lt=10**12, allow_inf_nan=False)] | None = None
    currency: Annotated[str, Field(pattern="^([A-Z]{3})?$")] = ""
    available: bool | None = None
    sizes: dict[str, bool] = {}
    sources: dict[str, str] = {}
    photos: tuple[str | PushedPlace, ...] = ()

    def listing(self) -> FoundListing:
        """The line as a listing; only one with a shop is."""
        said = {name: getattr(self, name) for name in _LISTING}
        return FoundListing(url=self.url, **{**said, "sizes": dict(self.sizes), "sources": dict(self.sources)})

    def places(self) -> list[PushedPhoto]:
        """The photos, each as path and address."""
        return [PushedPhoto(place.path, place.url) if isinstance(place, PushedPlace) else
                PushedPhoto(url=place) if is_address(place) else PushedPhoto(place)
                for place in self.photos]


def read_line(data: bytes) -> PushedLine:
    """Read one line; `BadInput` says what is wrong with it."""
    try:
        text = data.decode()
        line = PushedLine.model_validate(json.loads(text, parse_float=Decimal))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "the line"
        raise BadInput(f"{name}: {first['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number of thousands of digits
        raise BadInput(f"this is no JSON object in UTF-8 ({error})") from error
    if line.shop and not line.url:
        raise BadInput("a listing of a shop needs its url")
    if wrong := [gtin for gtin in line.gtins if not is_gtin(gtin)]:  # one that several lines share would join them
        raise BadInput(f"{wrong[0]!r} in gtins is no GTIN (8, 12, 13 or 14 digits, the last one their check digit); "
                       "correct it or leave it out")
    if not all(place.path or place.url for place in line.places()):
        raise BadInput("a photo needs a path or a url")
    if "\0" in text or "\\u0000" in text:
        raise BadInput("the line holds a null character, which no database takes; remove it")
    return line


def write_line(said: dict[str, Any]) -> str:
    """The line of these fields, those that are empty or unknown left out."""
    kept = {name: value for name, value in said.items() if value not in (None, "", (), [], {})}
    return json.dumps(kept, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    raise TypeError(f"{value!r} has no place in a line")
