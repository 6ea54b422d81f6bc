"""Old releases go: their rows in one transaction, then their folders."""

import re
from collections.abc import Collection
from functools import partial

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from catalogue.errors import BadInput
from catalogue.files import lock, remove_folder, sweep_partial
from catalogue.releases import KINDS, Releases, slot_of
from catalogue.tables import Live, Release, Segment
from catalogue.transactions import in_one_go

_NAME = re.compile(f"({'|'.join(KINDS)})-[0-9a-f]{{16}}")


def prune(releases: Releases, keep: int = 2) -> list[str]:
    """Delete all but the live, the former, the newest `keep` of each kind (of tasks: of each task), the networks these
    name and the segments that add to these; return the names of what was deleted.

    Releases that cannot be read are left to be built again. Folders without a row, which a killed prune or publication
    leaves, go too: nothing can be made of them but by publishing the same again.
    """
    folder = releases.folder
    with lock(folder / "releases.lock", "publishing or deleting releases", patience_s=60):
        sweep_partial(folder)
        # Under the lock nobody is between placing a release and recording it.
        here = {path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)}
        if here and not here & set(releases.names()):
            raise BadInput(f"the database knows none of the {len(here)} releases in {folder}; is it the one they were "
                           "made with?")
        readable = {release.name for release in releases.all()}
        gone = sorted(here - in_one_go(releases.engine, partial(_forget, readable, keep)))
        for name in gone:
            remove_folder(folder / name)
        return gone


def _forget(readable: Collection[str], keep: int, session: Session) -> set[str]:
    """Delete the rows of the releases that `prune` deletes, and return the names whose folders stay.

    All in one transaction: a promotion comes before it and is seen, or after it and finds its release whole or gone.
    """
    # On PostgreSQL, a promotion has its release's row locked by the foreign key, and we wait for it here or it for us.
    rows = list(session.scalars(select(Release).order_by(Release.id.desc()).with_for_update()))
    kept = {number for pair in session.execute(select(Live.release_id, Live.former_id)) for number in pair if number}
    whole = [row for row in rows if row.name in readable]
    for slot in {slot_of(row) for row in whole} - {"segment"}:
        kept |= {row.id for row in [row for row in whole if slot_of(row) == slot][:keep]}
    kept |= set(session.scalars(select(Segment.release_id).where(Segment.index_id.in_(kept))))
    # By the rows, not the folders: what is live keeps its network although its own folder cannot be read.
    networks = {str(row.manifest["network"]) for row in rows if row.id in kept and "network" in row.manifest}
    gone = {row.id: row.name for row in whole if row.id not in kept and row.name not in networks}
    session.execute(delete(Segment).where(or_(Segment.index_id.in_(gone), Segment.release_id.in_(gone))))
    session.execute(delete(Release).where(Release.id.in_(gone)))
    return ({row.name for row in rows} | networks) - set(gone.values())
