"""`catalogue verify`: compare rows, photo files and releases, and say in one sentence each what does not fit."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from catalogue.errors import SoleSearchError
from catalogue.files import PARTIAL
from catalogue.photos import PhotoStore
from catalogue.releases import Releases
from catalogue.sweeping import photo_in_use
from catalogue.tables import Photo


@dataclass(frozen=True)
class Fault:
    """One thing that does not fit: `kind` is missing, altered, orphan or release."""

    kind: str
    what: str


def faults(engine: Engine, store: PhotoStore, releases: Releases) -> Iterator[Fault]:
    """Yield every fault. An orphan (bytes that nothing shows) is what a killed import leaves; it does no harm.

    Only photos in use need their file (see `catalogue.sweeping`).
    """
    with Session(engine.execution_options(readonly=True)) as session:
        names = set(session.scalars(select(Photo.sha256).where(photo_in_use())))
    for name in sorted(names):
        path = store.path(name)
        if not path.is_file():
            yield Fault("missing", f"photo {name} is shown but has no file; import or crawl its product again")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != name:
            yield Fault("altered", f"photo {name} does not match its name; delete {path} and import it again")
    for path, _, _ in store.files():
        if path.name not in names and not path.name.startswith(PARTIAL):
            yield Fault("orphan", f"no product shows {path}; `solesearch catalogue sweep` removes it once a day old")
    for name in releases.names():
        try:
            releases.check(releases.open(name))
        except SoleSearchError as error:
            yield Fault("release", str(error))
