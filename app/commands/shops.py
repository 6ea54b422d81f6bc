"""`solesearch shop`: add, list, show, pause and resume shops."""

import json
from typing import TYPE_CHECKING

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.settings import Settings, read_settings
from app.wiring import Stores, open_stores
from catalogue.errors import NotFound
from catalogue.tables import CrawlRun, Listing, Shop

if TYPE_CHECKING:
    from crawler.settings import CrawlSettings


@click.group()
def shop() -> None:
    """Add, list, show, pause and resume shops."""


@shop.command()
@click.argument("url")
@click.option("--name", default="", help="A name for the shop; without it the one its pages give.")
@click.option("--yes", is_flag=True, help="Store it without asking.")
def add(url: str, name: str, yes: bool) -> None:
    """Look at the shop at URL, say what was found, and store it on a yes."""
    from crawler.shops import add_shop, look_at
    stores = open_stores(read_settings())
    preview = look_at(url, crawl_settings(stores.settings))
    click.echo(f"{preview.name}: {preview.addresses} possible product pages, found by {preview.kind}")
    for problem in preview.problems:
        click.echo(f"  problem: {problem}", err=True)
    if preview.sample is not None:
        listing = preview.sample
        price = "unknown" if listing.price is None else f"{listing.price} {listing.currency}"
        for field, value in (("title", listing.title), ("brand", listing.brand), ("colour", listing.colour),
                             ("style_code", listing.style_code), ("price", price)):
            click.echo(f"  {field:11} {value or 'unknown'}  ({listing.sources.get(field, 'not found')})")
        click.echo("".join(f"  photo       {photo}\n" for photo in preview.sample_photos).rstrip() or "  no photos")
    else:
        click.echo("  no product page could be read")
    if yes or click.confirm("Store this shop?", default=preview.sample is not None):
        click.echo(f"stored as shop {add_shop(stores.database, preview, name)}")


@shop.command("list")
def list_() -> None:
    """List shops with their listings and last crawl."""
    with Session(open_stores(read_settings()).readers) as session:
        for row in session.scalars(select(Shop).order_by(Shop.id)):
            count = session.scalar(select(func.count()).select_from(Listing).where(
                Listing.shop_id == row.id, Listing.gone_at.is_(None)))
            run = session.scalars(select(CrawlRun).where(CrawlRun.shop_id == row.id)
                                  .order_by(CrawlRun.id.desc()).limit(1)).first()
            last = f"last crawl {run.started_at:%Y-%m-%d %H:%M} {run.state}" if run else "never crawled"
            click.echo(f"{row.id:4d} {row.name:30} {count:6d} listings  {last}{'  paused' if row.paused else ''}")


@shop.command()
@click.argument("name")
def show(name: str) -> None:
    """Show a shop (by name or number) as JSON: address, settings, its last crawls."""
    stores = open_stores(read_settings())
    number = shop_id(stores, name)
    with Session(stores.readers) as session:
        row = session.get_one(Shop, number)
        runs = session.scalars(select(CrawlRun).where(CrawlRun.shop_id == number).order_by(CrawlRun.id.desc()).limit(5))
        click.echo(json.dumps({
            "id": row.id, "name": row.name, "url": row.url, "paused": row.paused, "settings": row.settings,
            "runs": [{"id": run.id, "state": run.state, "started": run.started_at.isoformat(),
                      "counters": run.counters} for run in runs]}, indent=1, ensure_ascii=False))


@shop.command()
@click.argument("name")
def pause(name: str) -> None:
    """Leave the shop out of crawls until it is resumed."""
    _set_paused(name, True)


@shop.command()
@click.argument("name")
def resume(name: str) -> None:
    """Take a paused shop up again."""
    _set_paused(name, False)


def shop_id(stores: Stores, name: str) -> int:
    """The id of the shop with this name or number; `NotFound` says which there are."""
    with Session(stores.readers) as session:
        shops = session.scalars(select(Shop)).all()
    for row in shops:
        if name in (row.name, str(row.id), row.url):
            return row.id
    raise NotFound(f"there is no shop {name!r}; there are: {', '.join(row.name for row in shops) or 'none'}")


def crawl_settings(settings: Settings) -> "CrawlSettings":
    """What the crawler is told, from the environment's settings."""
    from crawler.settings import CrawlSettings
    return CrawlSettings(contact=settings.contact, delay_s=settings.crawl_delay_s, allow_hosts=settings.allowed)


def _set_paused(name: str, paused: bool) -> None:
    stores = open_stores(read_settings())
    number = shop_id(stores, name)
    with Session(stores.database) as session, session.begin():
        row = session.get_one(Shop, number)
        row.paused = paused
        click.echo(f"{row.name} is {'paused' if paused else 'crawled again'}")
