"""`solesearch shop`: add, list, show, change, pause, resume and remove shops."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.settings import read_settings
from app.wiring import Stores, crawl_settings, open_stores
from catalogue.errors import BadInput, NotFound
from catalogue.tables import PUSHED, CrawlRun, Listing, Shop

if TYPE_CHECKING:
    from crawler.shops import ShopPreview

_TOML = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def shop() -> None:
    """Add, list, show, change, pause, resume and remove shops."""


@shop.command()
@click.argument("url")
@click.option("--settings", "file", type=_TOML, help="The shop's settings (TOML); without it they are found out.")
@click.option("--name", default="", help="A name for the shop; without it the one its pages give.")
@click.option("--yes", is_flag=True, help="Store it without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON; stores nothing without --yes.")
def add(url: str, file: Path | None, name: str, yes: bool, as_json: bool) -> None:
    """Look at the shop at URL, say what was found, and store it on a yes."""
    from crawler.shop_settings import read_shop_settings
    from crawler.shops import add_shop, look_at
    stores = open_stores(read_settings())
    given = read_shop_settings(file) if file is not None else None
    preview = look_at(url, crawl_settings(stores.settings), given)
    if as_json:
        number = add_shop(stores.database, preview, name, given) if yes else None
        click.echo(json.dumps(_as_data(preview) | {"id": number}, indent=1, ensure_ascii=False))
        return
    _tell(preview)
    if yes or click.confirm("Store this shop?", default=preview.sample is not None):
        click.echo(f"stored as shop {add_shop(stores.database, preview, name, given)}")


@shop.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a shop.")
def list_(as_json: bool) -> None:
    """List shops with their listings, schedule and last crawl."""
    with Session(open_stores(read_settings()).readers) as session:
        for row in session.scalars(select(Shop).order_by(Shop.id)):
            count = _listings(session, row.id)
            run = next(iter(_runs(session, row.id, 1)), None)
            schedule = str(row.settings.get("schedule", ""))
            if as_json:
                click.echo(json.dumps({"id": row.id, "name": row.name, "url": row.url, "listings": count,
                                       "paused": row.paused, "adapter": row.settings.get("adapter", "pages"),
                                       "schedule": schedule, "last_run": run and _run_data(run)}, ensure_ascii=False))
                continue
            if row.url.startswith(PUSHED):
                click.echo(f"{row.id:4d} {row.name:30} {count:6d} listings  pushed by `catalogue import`")
                continue
            last = f"last crawl {_clock(run.started_at)} {run.state}" if run else "never crawled"
            click.echo(f"{row.id:4d} {row.name:30} {count:6d} listings  {schedule or 'by hand':12}  {last}"
                       f"{'  paused' if row.paused else ''}")


@shop.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show a shop (by name, number or address): how it is crawled, when, and what its last crawls came to."""
    stores = open_stores(read_settings())
    number = shop_id(stores, name)
    with Session(stores.readers) as session:
        row = session.get_one(Shop, number)
        crawls = _runs(session, number, 5)
        found = {"id": row.id, "name": row.name, "url": row.url, "paused": row.paused,
                 "listings": _listings(session, number), "settings": row.settings,
                 "runs": [_run_data(run) for run in crawls]}
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if row.url.startswith(PUSHED):
        click.echo(f"{row.name} (shop {row.id})\n  {found['listings']} listings; pushed by `catalogue import`")
        return
    schedule = row.settings.get("schedule", "")
    click.echo(f"{row.name} (shop {row.id}), {row.url}{', paused' if row.paused else ''}\n"
               f"  {found['listings']} listings; crawled {f'by its schedule {schedule!r}' if schedule else 'by hand'}")
    click.echo("settings:")
    for line in _as_toml(row.settings).splitlines():
        click.echo(f"  {line}".rstrip())
    click.echo("last crawls:" if crawls else "never crawled")
    for run in crawls:
        counts = ", ".join(f"{count} {what}" for what, count in run.counters.items())
        stopped = f" (stopped: {run.stopped})" if run.stopped else ""
        click.echo(f"  run {run.id} {_clock(run.started_at)} {run.state}: {counts or 'nothing'}{stopped}")


@shop.command()
@click.argument("name")
@click.argument("file", type=_TOML, required=False)
def settings(name: str, file: Path | None) -> None:
    """Print a shop's settings as TOML, or replace them by those in FILE."""
    from crawler.shop_settings import read_shop_settings, stored
    stores = open_stores(read_settings())
    number = shop_id(stores, name)
    with Session(stores.database) as session, session.begin():
        row = session.get_one(Shop, number)
        if file is None:
            click.echo(_as_toml(row.settings), nl=False)
            return
        row.settings = stored(read_shop_settings(file))
        click.echo(f"{row.name} is crawled with the settings of {file} from now on")


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


@shop.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Remove it without asking.")
def remove(name: str, yes: bool) -> None:
    """Remove a shop with its listings, and the photos that nothing else shows; searches leave them out at once."""
    from catalogue.removal import remove_shop
    stores = open_stores(read_settings())
    number = shop_id(stores, name)
    with Session(stores.readers) as session:
        row, count = session.get_one(Shop, number), _listings(session, number)
    if not yes:
        click.confirm(f"Remove {row.name} with its {count} listings and their photos? This cannot be undone.",
                      abort=True)
    removed = remove_shop(stores.database, stores.photos, number, locks=stores.settings.data_dir / "locks")
    later = f"; {removed.young} of these are not a day old: `solesearch catalogue sweep` removes their files tomorrow"
    click.echo(f"removed {row.name}: {removed.listings} listings, {removed.photos} photos"
               f"{later if removed.young else ''}")


def shop_id(stores: Stores, name: str) -> int:
    """The id of the shop with this number, else name, else address; `NotFound` says which there are."""
    with Session(stores.readers) as session:
        shops = session.scalars(select(Shop)).all()
    for called in (lambda row: str(row.id), lambda row: row.name, lambda row: row.url):
        for row in shops:
            if called(row) == name:
                return row.id
    raise NotFound(f"there is no shop {name!r}; there are: {', '.join(row.name for row in shops) or 'none'}")


def _tell(preview: "ShopPreview") -> None:
    """Say what a look at a shop found."""
    count = f"at least {preview.addresses}" if preview.at_least else str(preview.addresses)
    what = "product" if preview.kind not in ("sitemap", "pages") else "possible product page"
    click.echo(f"{preview.name}: {count} {what}{'' if preview.addresses == 1 else 's'}, found by {preview.software}")
    for start in preview.settings.start:
        click.echo(f"  from {start}")
    for problem in preview.problems:
        click.echo(f"  problem: {problem}", err=True)
    if preview.sample is None:
        click.echo("  no product could be read")
        return
    listing = preview.sample
    click.echo(f"one of them: {listing.url}")
    for field in ("title", "brand", "model_name", "group", "colour", "style_code", "gtins", "shoe_type", "category",
                  "price", "list_price", "available", "sizes"):
        value = getattr(listing, field)
        if value is None or value in ("", (), {}):
            if field in ("brand", "colour", "style_code", "price"):
                click.echo(f"  {field:11} unknown")
            continue
        text = {"price": f"{value} {listing.currency}", "list_price": f"{value} {listing.currency}",
                "available": "yes" if value is True else "no"}.get(field)
        if field == "sizes":
            text = ", ".join(size if there else f"{size} (sold out)" for size, there in value.items())
        click.echo(f"  {field:11} {text or (', '.join(value) if isinstance(value, tuple) else value)}  "
                   f"({listing.sources.get(field, 'not found')})")
    click.echo("\n".join(f"  photo       {photo}" for photo in preview.sample_photos) or "  no photos")


def _as_data(preview: "ShopPreview") -> dict[str, Any]:
    from crawler.shop_settings import stored
    listing = asdict(preview.sample) if preview.sample is not None else None
    if listing is not None:
        listing = {field: str(value) if field in ("price", "list_price") else value
                   for field, value in listing.items() if value is not None and value not in ("", (), {})}
    return {"url": preview.url, "name": preview.name, "adapter": preview.kind, "found_by": preview.software,
            "addresses": preview.addresses, "at_least": preview.at_least, "settings": stored(preview.settings),
            "sample": listing, "photos": preview.sample_photos, "problems": preview.problems}


def _as_toml(stored_settings: dict[str, Any]) -> str:
    import tomli_w
    return tomli_w.dumps(stored_settings) or "# as by default: its pages are found by following links\n"


def _listings(session: Session, number: int) -> int:
    return session.scalar(select(func.count()).select_from(Listing).where(
        Listing.shop_id == number, Listing.gone_at.is_(None))) or 0


def _runs(session: Session, number: int, most: int) -> list[CrawlRun]:
    return list(session.scalars(select(CrawlRun).where(CrawlRun.shop_id == number)
                                .order_by(CrawlRun.id.desc()).limit(most)))


def _run_data(run: CrawlRun) -> dict[str, Any]:
    return {"id": run.id, "state": run.state, "started": run.started_at.isoformat(), "stopped": run.stopped,
            "finished": run.finished_at and run.finished_at.isoformat(), "counters": run.counters}


def _clock(moment: datetime) -> str:
    """A moment by the clock on the wall, as schedules are meant."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"


def _set_paused(name: str, paused: bool) -> None:
    stores = open_stores(read_settings())
    number = shop_id(stores, name)
    with Session(stores.database) as session, session.begin():
        row = session.get_one(Shop, number)
        if not paused and row.url.startswith(PUSHED):
            raise BadInput(f"{row.name} has no site to crawl; its listings come by `solesearch catalogue import`")
        row.paused = paused
        click.echo(f"{row.name} is {'paused' if paused else 'crawled again'}")
