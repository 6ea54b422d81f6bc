"""What a retraining remembers until it ends, so that the next one goes on where it was killed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from app.wiring import Stores
from catalogue.errors import BadInput, SoleSearchError
from catalogue.files import write_file
from catalogue.snapshots import Snapshot, SplitShares, open_snapshot

STALE = timedelta(days=7)


def place(stores: Stores) -> Path:
    """The file that is there while a retraining has not ended."""
    return stores.runs / "retrain.snapshot"


def remember(stores: Stores, taken: Snapshot, shares: SplitShares) -> None:
    """Note that a retraining with this snapshot was begun."""
    write_file(place(stores), _line(taken.digest, shares).encode())


def begun(stores: Stores, shares: SplitShares) -> Snapshot | None:
    """The snapshot of a retraining that was killed, with the same shares and not long ago; None if there is none."""
    path = place(stores)
    if not path.is_file():
        return None
    said = path.read_text()
    digest = said.partition(" ")[0]
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        if said != _line(digest, shares):
            raise BadInput("it had other shares of val and unseen")
        if datetime.now(UTC) - at > STALE:
            raise BadInput(f"it was begun more than {STALE.days} days ago")
        found = open_snapshot(stores.snapshots, digest)
    except SoleSearchError as error:
        click.echo(f"the unfinished retraining does not go on ({error}); starting a new one", err=True)
        return None
    click.echo(f"going on with the retraining begun on {at:%Y-%m-%d at %H:%M} UTC; photos that came since wait for "
               "the next", err=True)
    return found


def _line(digest: str, shares: SplitShares) -> str:
    return f"{digest} val={shares.val} unseen={shares.unseen}"
