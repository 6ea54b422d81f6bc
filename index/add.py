"""Adding to an index without building it anew: what the catalogue has and it lacks, as a segment beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from catalogue.files import lock
from catalogue.gallery_items import merged, note_changes, register
from catalogue.photos import PhotoStore
from catalogue.queries import ProductPhotoRow, product_photos
from catalogue.releases import Published, Releases
from index.build import embed_photos, gallery_of
from index.gallery import read_gallery, read_shown
from vision.embedder import Embedder

MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Added:
    """What an addition did: new items, the segment that holds them (None: nothing was made), and photos left waiting
    because their files cannot be read."""

    added: int
    segment: str | None
    waiting: int


def add(database: Engine, store: PhotoStore, releases: Releases, index: Published,
        embedder: Callable[[], Embedder], sides: Mapping[str, str],
        watch: Callable[[int, int], None] | None = None) -> Added:
    """Embed what `index` and its segments lack and record it as one more segment; `Busy` if another process adds.

    `embedder` opens the index's own network, and is called only if there is a photo to embed: a photo whose vector
    some part holds already (of a product that was merged, say) keeps it. The ninth segment takes the place of the
    eight before it and holds their items too. Killed at any moment, nothing but a folder is left that the next one
    sweeps. What is removed meanwhile is left out by searches, as always.
    """
    with lock(releases.folder / "additions.lock", "adding to an index"):
        with Session(database) as session, session.begin():
            note_changes(session)
        names = releases.segments(index.name)
        held = _held(releases, index)
        lacking = _lacking(database, held)
        fold = len(names) >= MOST_SEGMENTS
        vectors = _known_vectors(held, {row.sha256 for row in lacking}, fold)
        missing = sorted({row.sha256 for row in lacking} - vectors.keys())
        if missing:
            vectors.update(embed_photos(store, embedder(), missing, watch))
        fresh = [row for row in lacking if row.sha256 in vectors]
        if not fresh:
            return Added(0, None, len(lacking))
        rows = [row for row in _lacking(database, held[:1]) if row.sha256 in vectors] if fold else fresh
        with releases.draft("segment") as draft:
            with Session(database) as session, session.begin():
                ids = register(session, [(row.product_id, row.sha256) for row in rows])
                # A photo may have left its product between our reading and our naming its item …
                note_changes(session, {row.product_id for row in rows})
            gallery = gallery_of(rows, ids, vectors, sides)
            gallery.write(draft.folder)
            draft.replaces = tuple(names) if fold else ()
            draft.manifest.update(base=index.name, network=index.manifest["network"],
                                  preprocessing=index.manifest["preprocessing"], width=index.manifest["width"],
                                  items=len(gallery.ids), products=len(gallery.product_ids))
        with Session(database) as session, session.begin():
            # … or in a transaction that went on beside that one, and saw no item to mark.
            note_changes(session, {row.product_id for row in rows})
        return Added(len(fresh), draft.name, len(lacking) - len(fresh))


def lacking_photos(database: Engine, releases: Releases, index: Published) -> int:
    """How many product photos of the catalogue neither the index nor its segments hold."""
    return len(_lacking(database, _held(releases, index)))


@dataclass(frozen=True)
class _Held:
    """What one part of the index holds: its folder, and the product (n,) and photo (n,) of each item."""

    folder: Path
    products: np.ndarray
    photos: np.ndarray


def _held(releases: Releases, index: Published) -> list[_Held]:
    """The index and those of its segments that are whole: what a damaged one held is added again."""
    return [_Held(release.folder, *read_shown(release.folder))
            for release in (index, *releases.whole_segments(index.name))]


def _lacking(database: Engine, held: list[_Held]) -> list[ProductPhotoRow]:
    """The catalogue's product photos that no part holds, not even under a product that was merged into it."""
    with Session(database.execution_options(readonly=True)) as session:
        rows, became = product_photos(session), merged(session)
    known = {(became.get(product, product), sha256) for part in held
             for product, sha256 in zip(part.products.tolist(), part.photos.tolist(), strict=True)}
    return [row for row in rows if (row.product_id, row.sha256) not in known]


def _known_vectors(held: list[_Held], wanted: set[str], every_segment: bool) -> dict[str, np.ndarray]:
    """The vectors of wanted photos that some part holds (and, to fold them, of all segments' photos), by photo."""
    found: dict[str, np.ndarray] = {}
    for at, part in enumerate(held):
        chosen = [row for row, name in enumerate(part.photos.tolist()) if name in wanted or (every_segment and at)]
        if chosen:
            vectors = read_gallery(part.folder)[0].vectors
            found.update((str(part.photos[row]), vectors[row]) for row in chosen)
    return found
