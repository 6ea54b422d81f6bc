"""`solesearch promote`, `rollback`, `demote` and `releases`."""

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from app.settings import read_settings
from app.wiring import Stores, embedder_of, network_of, open_stores
from catalogue.errors import BadInput, BadRelease, Busy, NotFound, SoleSearchError
from catalogue.pruning import prune
from catalogue.releases import Published, slot_of

if TYPE_CHECKING:
    from index.gallery import Gallery
    from vision.embedder import Embedder

NOT_MEASURED = "too few held-out photos to compare: nothing was measured"


@click.command()
@click.argument("slot")
@click.argument("release", required=False)
@click.option("--force", is_flag=True, help="Promote although it measures worse than what is live.")
def promote(slot: str, release: str | None, force: bool) -> None:
    """Make RELEASE (without it: the newest) live in SLOT: `index`, or `task:NAME`."""
    stores = open_stores(read_settings())
    check_slot(slot)
    name = release or stores.releases.newest(slot).name
    click.echo(promote_gated(stores, slot, name, force))


@click.command()
@click.argument("slot")
def rollback(slot: str) -> None:
    """Make the release live that was live in SLOT before, checked and with what was added since.

    Nothing is compared: that what is live must go is a person's decision.
    """
    click.echo(rolled_back(open_stores(read_settings()), slot))


@click.command()
@click.argument("slot")
def demote(slot: str) -> None:
    """Take down what is live in SLOT, `task:NAME`: the service answers for that task no more."""
    click.echo(f"{open_stores(read_settings()).releases.demote(slot)} is live in {slot} no more")


@click.command()
@click.option("--prune", "pruning", is_flag=True, help="Delete all but what is live, what was, and the newest two of "
              "each kind (of each task).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def releases(pruning: bool, as_json: bool) -> None:
    """List releases, newest first, and what is live."""
    stores = open_stores(read_settings())
    for name in prune(stores.releases) if pruning else []:
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
        click.echo(f"{release.name:26} {_headline(release):16} {marks.get(release.name, '')}".rstrip())


def _headline(release: Published) -> str:
    measures = release.manifest.get("measures", {})
    if release.kind == "task":
        accuracy = measures.get("accuracy")
        return str(release.manifest.get("task", "")) + ("" if accuracy is None else f" accuracy {accuracy:.3f}")
    recall = measures.get("recall@1", measures.get("unseen_recall1"))
    return "" if recall is None else f"recall@1 {recall:.3f}"


def check_slot(slot: str) -> None:
    """`BadInput` unless there is such a slot."""
    if slot != "index" and not (slot.startswith("task:") and slot != "task:"):
        raise BadInput(f"there is no slot {slot!r}; the slots that can be promoted are: index, task:NAME")


def rolled_back(stores: Stores, slot: str) -> str:
    """Promote what was live before, past the gate but whole and up to date; return a sentence about it."""
    _, former = stores.releases.slots().get(slot, (None, None))
    if former is None:
        return stores.releases.roll_back(slot)  # refuses, and says what is missing
    return f"{promote_gated(stores, slot, former, force=True)} again"


def promote_gated(stores: Stores, slot: str, name: str, force: bool) -> str:
    """Pass the gate (unless forced) and promote; return a sentence about it."""
    check_slot(slot)
    candidate, live = stores.releases.open(name), stores.releases.live_name(slot)
    stores.releases.check(candidate)
    if slot != slot_of(candidate):
        raise BadInput(f"{name} is a release for slot {slot_of(candidate)!r}, not for {slot!r}")
    if live == name:
        return f"{name} is live in {slot} already"
    if candidate.kind == "task":
        lines = _gate_task(stores, candidate, live, force)
    else:
        stores.releases.check(network_of(stores, candidate))
        lines = [] if force else _gate(stores, candidate, live)
        lines += _brought_up_to_date(stores, candidate)
    stores.releases.promote(slot, name, instead_of=live)
    return "\n".join([*lines, f"{name} is live in {slot}"])


def _gate_task(stores: Stores, candidate: Published, live: str | None, force: bool) -> list[str]:
    """Open the candidate as a worker would (forced or not: what cannot serve must not be live), and compare it."""
    from app.live_tasks import open_task
    from training.task_gate import check_first, check_next
    open_task(stores, candidate)
    if force:
        return []
    if live is None:
        return check_first(candidate.manifest)
    try:
        running = stores.releases.open(live)
    except (BadRelease, NotFound) as error:  # what is live is damaged: promoting is the way out
        return [_not_compared(live, error), *check_first(candidate.manifest)]
    return check_next(candidate.manifest, running.manifest)


def _not_compared(live: str, error: SoleSearchError) -> str:
    return f"nothing could be compared with {live}, which is live: {error}"


def _gate(stores: Stores, candidate: Published, live: str | None) -> list[str]:
    """Measure the candidate against what is live, or the first one against a network that never learned; lines that
    say what was found. `GateRefused` if it must not be promoted."""
    from app.commands.indexing import open_whole
    from index.gate import check_named, named
    gallery, embedder = open_whole(stores, candidate), embedder_of(stores, network_of(stores, candidate))
    lines = _gate_first(stores, gallery, embedder) if live is None else _gate_next(
        stores, candidate, gallery, embedder, live)
    classified = named(gallery, embedder, stores.photos)
    check_named(classified)
    if classified.asked:
        lines.append(f"the classifier names {classified.right} of {classified.asked} held-out photos")
    return lines


def _gate_first(stores: Stores, gallery: "Gallery", embedder: "Embedder") -> list[str]:
    from index.gate import check_untrained, compare_untrained
    if find_spec("torch") is None:
        return ["torch is not installed: not compared with the untrained network"]
    from vision.untrained import untrained
    found = compare_untrained(gallery, untrained(embedder.card), stores.photos)
    if found is None:
        return [NOT_MEASURED]
    check_untrained(found)
    return [f"{found.slice:18} {found.queries:6d} queries: recall@1 {found.candidate:.3f}, untrained {found.live:.3f}"]


def _gate_next(stores: Stores, candidate: Published, gallery: "Gallery", embedder: "Embedder",
               live: str) -> list[str]:
    from app.commands.indexing import open_whole
    from index.gate import check, check_decision, check_size, compare
    try:
        running = stores.releases.open(live)
        theirs = network_of(stores, running)
        stores.releases.check(theirs)
    except (BadRelease, NotFound) as error:  # what is live is damaged: promoting is the way out
        return [_not_compared(live, error), *_gate_first(stores, gallery, embedder)]
    try:
        current = open_whole(stores, running)
        known, items = dict(zip(map(str, current.photos), current.vectors, strict=True)), len(current.ids)
    except (BadRelease, NotFound):  # so it is here, or what is live is empty; but its network can be asked
        known, items = {}, int(running.manifest["items"])
    same = theirs.name == network_of(stores, candidate).name
    found = compare(gallery, embedder, None if same else embedder_of(stores, theirs), stores.photos, known)
    check(found)
    check_size(len(gallery.ids), items)
    check_decision(candidate.manifest.get("decision"), running.manifest.get("decision"))
    return [f"{one.slice:18} {one.queries:6d} queries: recall@1 {one.candidate:.3f}, live {one.live:.3f}"
            for one in found] or [NOT_MEASURED]


def _brought_up_to_date(stores: Stores, candidate: Published) -> list[str]:
    """Add to the candidate what came while it was built, before it is live: nothing that was found must go missing."""
    from app.commands.indexing import add_with_bar
    try:
        done = add_with_bar(stores, candidate)
    except Busy as error:
        return [f"what came since it was built is not in it yet ({error}), then `solesearch index add`"]
    return [f"{done.added} photos that came since it was built were added by {done.segment}"] if done.segment else []
