"""A live index as one gallery: its base and its segments, without what was removed, as a fresh build would hold it."""

from collections.abc import Sequence

import numpy as np

from catalogue.errors import NotFound
from catalogue.gallery_items import GalleryState
from catalogue.queries import ProductPhotoRow
from catalogue.releases import Published, Releases
from index.build import gallery_of
from index.gallery import Gallery, read_gallery
from index.search import Part
from index.view import GONE, View, view_of


def open_view(releases: Releases, index: Published, state: GalleryState) -> View:
    """Open an index with those of its segments that are whole, as serving does; `BadRelease` if it is damaged."""
    return view_of(tuple(Part(release.name, *read_gallery(release.folder))
                         for release in (index, *releases.whole_segments(index.name))), state)


def whole_gallery(view: View, rows: Sequence[ProductPhotoRow]) -> Gallery:
    """What can be found in a view, by the catalogue's photos of now: near-duplicate groups span base and segments."""
    ids: dict[tuple[int, str], int] = {}
    vectors: dict[str, np.ndarray] = {}
    sides: dict[str, str] = {}
    for part, shown in zip(view.parts, view.shows, strict=True):
        gallery = part.gallery
        for row in (shown != GONE).nonzero()[0].tolist():
            name = str(gallery.photos[row])
            ids.setdefault((int(shown[row]), name), int(gallery.ids[row]))
            vectors[name], sides[name] = gallery.vectors[row], str(gallery.sides[row])
    kept = [row for row in rows if (row.product_id, row.sha256) in ids]
    if not kept:
        raise NotFound("the index holds no photo that the catalogue still has; `solesearch index add` first")
    return gallery_of(kept, ids, vectors, sides)
