"""Building an index release: every product photo through the serving embedder into a measured gallery."""

import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from catalogue.errors import BadPhoto, NotFound
from catalogue.gallery_items import note_changes, register
from catalogue.photos import PhotoStore
from catalogue.queries import ProductPhotoRow, product_photos
from catalogue.releases import Published, Releases
from catalogue.snapshots import near_duplicate_groups
from index.again import MOST_AGAIN, asked_again, street
from index.calibration import calibration_rows, fit_decision
from index.decision import Decision
from index.evaluate import Queries, evaluate, held_out_rows
from index.gallery import Gallery
from index.kinds import AUTO, EXACT_TO, chosen_kind
from vision.embedder import Embedder

log = logging.getLogger(__name__)
READERS = min(8, os.cpu_count() or 1)


def build(database: Engine, store: PhotoStore, releases: Releases, network: Published, embedder: Embedder,
          sides: Mapping[str, str], watch: Callable[[int, int], None] | None = None, kind: str = AUTO,
          exact_to: int = EXACT_TO) -> str:
    """Embed the whole catalogue and publish the index; return its name. Nothing becomes live by it.

    Photos that cannot be read are left out with a warning; `index add` tries them again.
    `sides` maps a photo's sha256 to its side in the snapshot the network was trained on. `watch(done, total)` hears
    of progress. `kind` is one of `index.kinds.KINDS`; `auto` is exact up to `exact_to` photos. A build that is killed
    leaves nothing but a folder that the next build sweeps.
    """
    with releases.draft("index") as draft:
        with Session(database) as session, session.begin():
            rows = product_photos(session)
            ids = register(session, [(row.product_id, row.sha256) for row in rows])
        if not rows:
            raise NotFound("the catalogue has no photos to index; crawl a shop or `solesearch catalogue import` first")
        vectors = embed_photos(store, embedder, list(dict.fromkeys(row.sha256 for row in rows)), watch)
        rows = [row for row in rows if row.sha256 in vectors]
        if not rows:
            raise NotFound("none of the catalogue's photos can be read; `solesearch catalogue verify` says more")
        gallery = gallery_of(rows, ids, vectors, sides)
        made = gallery.write(draft.folder, chosen_kind(kind, len(gallery.ids), exact_to))
        decision = calibrate(store, embedder, gallery)
        again = asked_again(store, embedder, gallery, held_out_rows(gallery, MOST_AGAIN))
        draft.manifest.update(
            network=network.name, preprocessing=asdict(embedder.card.preprocessing),
            width=embedder.card.width, items=len(gallery.ids), products=len(gallery.product_ids),
            search=made.kind, recall_against_exact=made.recall_at_10,
            measures=evaluate(gallery, again), decision=decision.as_dict() if decision else None)
    with Session(database) as session, session.begin():
        note_changes(session)  # a photo may have left its product between our reading and our naming its item
    return draft.name


def calibrate(store: PhotoStore, embedder: Embedder, gallery: Gallery) -> Decision | None:
    """Fit the decision on the gallery's own photos, each as it is and disturbed as people photograph."""
    rows, name = calibration_rows(gallery)
    return fit_decision(gallery, [Queries(gallery.vectors[rows], rows), street(store, embedder, gallery, rows)], name,
                        embedder.card.colours)


def embed_photos(store: PhotoStore, embedder: Embedder, names: list[str],
                 watch: Callable[[int, int], None] | None = None) -> dict[str, np.ndarray]:
    """Return the embeddings (d,) of stored photos, by photo; one that cannot be read is left out."""
    def prepared(name: str) -> np.ndarray | None:
        try:
            return embedder.card.preprocessing.pixels(store.image(name))
        except (BadPhoto, NotFound) as error:
            log.warning("left out: %s", error)
            return None

    found: dict[str, np.ndarray] = {}
    with ThreadPoolExecutor(READERS) as pool:
        # Photos are decoded while the network works on those before them.
        coming = deque([(name, pool.submit(prepared, name)) for name in names[:2 * embedder.batch]])
        for start in range(0, len(names), embedder.batch):
            group = [coming.popleft() for _ in names[start:start + embedder.batch]]
            further = start + 2 * embedder.batch
            coming.extend((name, pool.submit(prepared, name)) for name in names[further:further + embedder.batch])
            pixels = {name: one for name, future in group if (one := future.result()) is not None}
            if pixels:
                found.update(zip(pixels, embedder.run(np.stack(list(pixels.values()))).vectors, strict=True))
            if watch is not None:
                watch(start + len(group), len(names))
    return found


def gallery_of(rows: list[ProductPhotoRow], ids: Mapping[tuple[int, str], int], vectors: Mapping[str, np.ndarray],
               sides: Mapping[str, str]) -> Gallery:
    """Arrange catalogue rows and their vectors as a gallery.

    A near-duplicate of a photo that was trained on counts as trained on, whenever it came.
    """
    groups = near_duplicate_groups(rows)
    trained = {groups[row.sha256] for row in rows if sides.get(row.sha256) == "train"}
    numbers = {name: at for at, name in enumerate(dict.fromkeys(groups.values()))}
    products = {row.product_id: row for row in rows}
    ordered = [products[number] for number in sorted(products)]
    # A model is known where it is not just the product's own key.
    known = dict.fromkeys(row.model_key for row in ordered if row.model_key != row.product_key)
    model_keys = {key: at for at, key in enumerate(known)}
    return Gallery(
        ids=np.array([ids[row.product_id, row.sha256] for row in rows], np.int64),
        products=np.array([row.product_id for row in rows], np.int64),
        photos=np.array([row.sha256 for row in rows]),
        groups=np.array([numbers[groups[row.sha256]] for row in rows], np.int64),
        sides=np.array(["train" if groups[row.sha256] in trained else sides.get(row.sha256, "new") for row in rows]),
        places=np.array([row.place for row in rows], np.int64),
        vectors=np.stack([vectors[row.sha256] for row in rows]).astype(np.float32),
        product_ids=np.array([row.product_id for row in ordered], np.int64),
        keys=np.array([row.product_key for row in ordered]),
        brands=np.array([row.brand for row in ordered]),
        models=np.array([model_keys.get(row.model_key, -1) for row in ordered], np.int64),
        types=np.array([row.shoe_type for row in ordered]))
