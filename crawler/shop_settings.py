"""The settings of one shop: how its products are found and read. Data, written as TOML: a new shop needs no code."""

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from catalogue.errors import BadInput
from crawler.due import check_schedule

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Adapter = Literal["shopify", "woocommerce", "feed", "api", "sitemap", "pages"]
FIELDS = ("title", "brand", "model_name", "group", "colour", "style_code", "gtin", "shoe_type", "category", "price",
          "list_price", "currency", "available", "sizes", "images")


def _selector(text: str) -> str:
    import soupsieve
    try:
        soupsieve.compile(text.rpartition("@")[0] if "@" in text else text)
    except soupsieve.SelectorSyntaxError as error:
        raise ValueError(f"{text!r} is no CSS selector ({str(error).splitlines()[0]})") from error
    return text


def _web_address(text: str) -> str:
    if not re.match(r"https?://[^/\s]+", text):
        raise ValueError(f"{text!r} is no web address; write it whole, with https://")
    return text


def _schedule(text: str) -> str:
    try:
        return check_schedule(text)
    except BadInput as error:
        raise ValueError(str(error)) from error


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression ({error})") from error
    return text


def _currency(text: str) -> str:
    if not re.fullmatch(r"([A-Z]{3})?", text):
        raise ValueError(f"{text!r} is no currency; write its three letters, like EUR")
    return text


Selector = Annotated[str, AfterValidator(_selector)]
Pattern = Annotated[str, AfterValidator(_pattern)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Strict):
    """Budgets and pace of one shop's crawls, where they differ from those of all."""

    pages: int | None = Field(None, gt=0)
    items: int | None = Field(None, gt=0)
    minutes: float | None = Field(None, gt=0)
    errors: int | None = Field(None, gt=0)
    depth: int | None = Field(None, ge=0)
    photos: int | None = Field(None, gt=0)
    delay_s: float | None = Field(None, ge=0)
    concurrency: int | None = Field(None, gt=0, le=32)


class Follow(_Strict):
    """Regular expressions, searched for in whole addresses.

    Of what an adapter's answers or a sitemap list, only addresses with `product` are taken; a crawl of `pages` follows
    all links as it must to find any product, and only `shop add` looks by it for a sample. None with `refuse` is ever
    visited.
    """

    product: Pattern = ""
    refuse: Pattern = ""


class ProductApi(_Strict):
    """A JSON or GraphQL product API that answers GET requests.

    `url` holds `{page}` (counted from `first`), `{offset}` (in steps of `per_page`) or `{cursor}`; without any there is
    one page. `items`, `cursor`, `variants` and the values of `fields` are dotted paths (`data.products.edges`,
    `node.price.amount`, `images.*.src`; `*` is every element of a list). `fields` maps the names in `FIELDS` and `url`
    (the listing's page) to paths within an item; `variant_fields` to paths within a variant. Where items hold only a
    part of their page's address, `page_url` says the whole: `https://shop.example/p/{slug}`, with names of `fields` or
    paths in braces. Prices in cents are read with `minor_units = 2`.
    Paging ends with the first page that has no items or, for `{cursor}`, no cursor.
    """

    url: WebAddress
    items: str = ""
    cursor: str = ""
    first: int = 1
    per_page: int = Field(100, gt=0)
    minor_units: int = Field(0, ge=0, le=4)
    page_url: str = ""
    fields: dict[str, str] = {}
    variants: str = ""
    variant_fields: dict[str, str] = {}


class ShopSettings(_Strict):
    """How one shop is crawled. `start` are the feeds, sitemaps or first pages, as the adapter needs them.

    `currency` is for adapters whose answers name none (Shopify); `brand` for shops that sell one brand and never say
    so; `pages` whether an adapter's product pages are read too (`auto`: where the adapter leaves out photos or price).
    `select` maps fields (`FIELDS`) to CSS selectors, `css@attribute` for an attribute. `schedule` is a cron
    expression, or an interval like `6h`.
    """

    adapter: Adapter = "pages"
    start: tuple[WebAddress, ...] = ()
    currency: Annotated[str, AfterValidator(_currency)] = ""
    brand: str = ""
    pages: Literal["auto", "always", "never"] = "auto"
    schedule: Annotated[str, AfterValidator(_schedule)] = ""
    limits: Limits = Limits()
    follow: Follow = Follow()
    select: dict[str, Selector] = {}
    api: ProductApi | None = None


_TABLES: dict[str, type[BaseModel]] = {"": ShopSettings, "limits": Limits, "follow": Follow, "api": ProductApi}
_SENTENCES = {"missing": "it must be given", "model_type": "it must be a table", "dict_type": "it must be a table",
              "tuple_type": "it must be a list", "string_type": "it must be text",
              **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "it must be a whole number"),
              **dict.fromkeys(("float_parsing", "float_type"), "it must be a number")}


def shop_settings(data: dict[str, Any]) -> ShopSettings:
    """Settings as stored or written; `BadInput` names the first that cannot be used."""
    try:
        found = ShopSettings.model_validate(data)
    except ValidationError as error:
        raise BadInput(_complaint(error.errors()[0])) from error
    for name in (*found.select, *(found.api.fields if found.api else ()),
                 *(found.api.variant_fields if found.api else ())):
        if name not in (*FIELDS, "url"):
            raise BadInput(f"the shop settings map {name!r}; the fields are: {', '.join((*FIELDS, 'url'))}")
    if found.adapter == "api" and found.api is None:
        raise BadInput("a shop with adapter = \"api\" needs an [api] table with its url, items and fields")
    if found.api is not None:
        _check_api(found.api)
    return found


def _complaint(first: "ErrorDetails") -> str:
    """What is wrong with a setting, in the words of a settings file."""
    *table, name = (str(part) for part in first["loc"])
    where = ".".join((*table, name))
    if first["type"] == "extra_forbidden":
        known = ", ".join(_TABLES[".".join(table)].model_fields)
        return f"there is no shop setting {where!r}; {f'[{table[0]}] takes' if table else 'there are'}: {known}"
    told = first.get("ctx", {}).get("error") if first["type"] == "value_error" else _SENTENCES.get(first["type"])
    return f"the shop setting {where!r} cannot be used: " + str(told or first["msg"].replace("Input should", "it must"))


def _check_api(api: ProductApi) -> None:
    if "title" not in api.fields or not (api.page_url or "url" in api.fields):
        raise BadInput("the setting api.fields must say where an item's title is, and its url (or give api.page_url)")
    if "{cursor}" in api.url and not api.cursor:
        raise BadInput("the setting api.url asks for a cursor; say in api.cursor where an answer has it")


def read_shop_settings(path: Path) -> ShopSettings:
    """Read a shop's TOML file; `BadInput` if it cannot be read or used."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} cannot be read as TOML: {error}") from error
    try:
        return shop_settings(data)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def stored(settings: ShopSettings) -> dict[str, Any]:
    """What goes into the shop's row: only what differs from the defaults."""
    return settings.model_dump(mode="json", exclude_defaults=True)
