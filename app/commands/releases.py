"""`solesearch promote`, `rollback` and `releases`."""

import json

import click

from app.settings import read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from catalogue.errors import BadInput, Busy
from catalogue.releases import Published


@click.command()
@click.argument("slot")
@click.argument("release", required=False)
@click.option("--force", is_flag=True, help="Promote although it measures worse than what is live.")
def promote(slot: str, release: str | None, force: bool) -> None:
    """Make RELEASE (without it: the newest) live in SLOT, such as `index`."""
    stores = open_stores(read_settings())
    name = release or stores.releases.newest(slot.split(":")[0]).name
    click.echo(promote_gated(stores, slot, name, force))


@click.command()
@click.argument("slot")
def rollback(slot: str) -> None:
    """Make the release live that was live in SLOT before."""
    click.echo(f"{open_stores(read_settings()).releases.roll_back(slot)} is live in {slot} again")


@click.command()
@click.option("--prune", is_flag=True, help="Delete all but what is live, what was, and the newest two of each kind.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def releases(prune: bool, as_json: bool) -> None:
    """List releases, newest first, and what is live."""
    stores = open_stores(read_settings())
    for name in stores.releases.prune() if prune else []:
        click.echo(f"deleted {name}", err=True)
    slots = {slot: {"live": live, "former": former} for slot, (live, former) in stores.releases.slots().items()}
    found = stores.releases.all()
    if as_json:
        click.echo(json.dumps({"slots": slots, "releases": [release.name for release in found]}))
        return
    marks = {pair["live"]: f"live in {slot}" for slot, pair in slots.items()}
    for release in found:
        if release.kind == "segment":
            base = str(release.manifest["base"])
            used = "adds" if release.name in stores.releases.segments(base) else "folded; added"
            click.echo(f"{release.name:26} {release.manifest['items']:6d} photos  {used} to {base}")
            continue
        measures = release.manifest.get("measures", {})
        recall = measures.get("recall@1", measures.get("unseen_recall1"))
        click.echo(f"{release.name:26} {'' if recall is None else f'recall@1 {recall:.3f}':16} "
                   f"{marks.get(release.name, '')}".rstrip())


def promote_gated(stores: Stores, slot: str, name: str, force: bool) -> str:
    """Pass the gate (unless forced) and promote; return a sentence about it."""
    if slot != "index":
        raise BadInput(f"there is no slot {slot!r}; the slot that can be promoted is: index")
    candidate, live = stores.releases.open(name), stores.releases.live_name(slot)
    stores.releases.check(candidate)
    if live == name:
        return f"{name} is live in {slot} already"
    lines = []
    if live is not None and not force:
        from index.gate import check, check_size, compare
        running = stores.releases.open(live)
        found = compare(candidate, running, embedder_of(stores, network_of(stores, running)), stores.photos)
        lines = [f"{one.slice:10} {one.queries:6d} queries: recall@1 {one.candidate:.3f}, live {one.live:.3f}"
                 for one in found]
        check(found)
        check_size(candidate, running)
        if not found:
            lines.append("too few held-out photos to compare the two: nothing was measured")
    lines += _brought_up_to_date(stores, candidate)
    stores.releases.promote(slot, name, instead_of=live)
    return "\n".join([*lines, f"{name} is live in {slot}"])


def _brought_up_to_date(stores: Stores, candidate: Published) -> list[str]:
    """Add to the candidate what came while it was built, before it is live: nothing that was found must go missing."""
    from app.commands.indexing import add_with_bar
    try:
        done = add_with_bar(stores, candidate)
    except Busy as error:
        return [f"what came since it was built is not in it yet ({error}), then `solesearch index add`"]
    return [f"{done.added} photos that came since it was built were added by {done.segment}"] if done.segment else []
