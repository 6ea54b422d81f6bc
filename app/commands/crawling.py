"""`solesearch crawl`: one shop after the other into the catalogue."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.commands.shops import crawl_settings, shop_id
from app.progress import counting
from app.settings import read_settings
from app.wiring import Stores, open_stores
from catalogue.errors import NotFound
from catalogue.tables import Shop

if TYPE_CHECKING:
    from crawler.report import CrawlReport


@click.command()
@click.argument("shops", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a shop.")
def crawl(shops: tuple[str, ...], as_json: bool) -> None:
    """Crawl SHOPS (names or numbers; without any, all that are not paused).

    Killed at any moment, the same command goes on where it was. Exits 1 if a shop could not be crawled.
    """
    stores = open_stores(read_settings())
    numbers = [shop_id(stores, name) for name in shops] or _unpaused(stores)
    failed = False
    for number in numbers:
        report = _crawl(stores, number)
        failed |= report.state == "failed"
        if as_json:
            click.echo(json.dumps(asdict(report)))
        else:
            counts = ", ".join(f"{count} {name}" for name, count in report.counters.items())
            click.echo(f"run {report.run_id} {report.state}: {counts} in {report.seconds:.1f} s")
            for error in report.errors:
                click.echo(f"  {error}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _unpaused(stores: Stores) -> list[int]:
    with Session(stores.readers) as session:
        found = list(session.scalars(select(Shop.id).where(~Shop.paused).order_by(Shop.id)))
    if not found:
        raise NotFound("there is no shop to crawl; add one with `solesearch shop add URL`")
    return found


def _crawl(stores: Stores, number: int) -> "CrawlReport":
    from crawler.crawl import crawl as crawl_shop
    with counting("crawl", unit="page") as move:
        return crawl_shop(stores.database, stores.photos, number, crawl_settings(stores.settings),
                          lambda now: move(now.visited, now.visited + now.pending),
                          locks=stores.settings.data_dir / "locks")
