"""Snapshots: the same catalogue gives the same digest; near-duplicates share a side; sides never change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.wiring import Stores
from catalogue.errors import BadInput, NotFound
from catalogue.imports import import_path
from catalogue.merging import merge, split
from catalogue.queries import ProductPhotoRow
from catalogue.snapshots import SplitShares, assign_splits, near_duplicate_groups, open_snapshot, take_snapshot

SHARES = SplitShares(val=0.3, unseen=0.3)


def row(product: int, sha256: str, dhash: str, model: str = "m") -> ProductPhotoRow:
    return ProductPhotoRow(product, sha256, dhash, f"key-{product}", model, "", "", 0)


def test_the_same_catalogue_gives_the_same_snapshot(stocked: Stores) -> None:
    one = take_snapshot(stocked.database, stocked.snapshots, SHARES)
    two = take_snapshot(stocked.database, stocked.snapshots, SplitShares(0.0, 0.0))
    assert one == two == open_snapshot(stocked.snapshots, one.digest)
    assert {photo.split for photo in one.photos} == {"train", "val", "unseen"}


def test_later_photos_move_no_group_to_the_other_side(stocked: Stores, make_folder: Callable[..., Path],
                                                      tmp_path: Path) -> None:
    before = {photo.sha256: photo.split for photo in take_snapshot(stocked.database, stocked.snapshots, SHARES).photos}
    import_path(stocked.database, stocked.photos, make_folder(tmp_path / "more", models=8, first=100))
    after = {photo.sha256: photo.split for photo in take_snapshot(stocked.database, stocked.snapshots, SHARES).photos}
    assert len(after) > len(before) and before.items() <= after.items()


def test_an_unseen_model_is_unseen_in_all_its_colourways(stocked: Stores) -> None:
    photos = take_snapshot(stocked.database, stocked.snapshots, SHARES).photos
    unseen = {photo.model_key for photo in photos if photo.split == "unseen"}
    assert unseen and all((photo.split == "unseen") == (photo.model_key in unseen) for photo in photos)


def test_near_duplicates_join_within_a_product_only() -> None:
    rows = [row(1, "a", "0" * 16), row(1, "b", "0" * 15 + "f"), row(1, "c", "f" * 16), row(2, "d", "0" * 16)]
    groups = near_duplicate_groups(rows)
    assert groups["a"] == groups["b"] and len(set(groups.values())) == 3


def test_when_two_groups_turn_out_to_be_one_the_earlier_side_wins() -> None:
    rows = [row(1, "a", "0" * 16), row(1, "b", "0" * 15 + "3")]
    groups = near_duplicate_groups(rows)
    assert assign_splits(rows, groups, {"b": "val", "a": "train"}, SHARES) == {"a": "val", "b": "val"}


def test_new_photos_of_an_unseen_product_are_unseen_and_of_a_trained_one_never() -> None:
    rows = [row(1, "a", "0" * 16), row(1, "b", "f" * 16), row(2, "c", "0" * 16, "n"), row(2, "d", "f" * 16, "n")]
    sides = assign_splits(rows, near_duplicate_groups(rows), {"a": "unseen", "c": "train"}, SplitShares(0.0, 0.89))
    assert sides == {"a": "unseen", "b": "unseen", "c": "train", "d": "train"}


def test_an_unseen_product_merged_into_a_trained_one_is_measured_but_not_as_unseen() -> None:
    rows = [row(1, "a", "0" * 16), row(1, "b", "f" * 16), row(1, "c", "0f" * 8), row(2, "d", "0" * 16, "n")]
    known = {"a": "unseen", "b": "train", "d": "unseen"}
    sides = assign_splits(rows, near_duplicate_groups(rows), known, SplitShares(0.0, 0.89))
    assert sides == {"a": "val", "b": "train", "c": "train", "d": "unseen"}


def test_a_merge_moves_no_photo_between_training_and_measuring(stocked: Stores) -> None:
    def sides() -> dict[str, str]:
        taken = take_snapshot(stocked.database, stocked.snapshots, SHARES)
        return {photo.sha256: photo.split for photo in taken.photos}

    photos = take_snapshot(stocked.database, stocked.snapshots, SHARES).photos
    before = sides()
    unseen = next(photo for photo in photos if photo.split == "unseen")
    trained = next(photo for photo in photos if photo.split == "train")
    merge(stocked.database, str(unseen.product_id), str(trained.product_id))
    merged = take_snapshot(stocked.database, stocked.snapshots, SHARES).photos
    assert unseen.product_id not in {photo.product_id for photo in merged}
    for photo in merged:
        was = before[photo.sha256]
        moved = photo.product_id == trained.product_id and was == "unseen"
        assert photo.split == ("val" if moved else was)
    split(stocked.database, [str(unseen.product_id)])
    assert sides() == before


def test_a_trained_product_keeps_a_photo_to_train_on() -> None:
    rows = [row(1, "a", "0" * 16), row(1, "b", "f" * 16)]
    sides = assign_splits(rows, near_duplicate_groups(rows), {}, SplitShares(val=0.89, unseen=0.0))
    assert "train" in sides.values()


def test_an_altered_or_missing_snapshot_is_refused(stocked: Stores) -> None:
    taken = take_snapshot(stocked.database, stocked.snapshots, SHARES)
    path = taken.folder / "photos.csv"
    path.write_text(path.read_text().replace(",train\n", ",val\n", 1))
    with pytest.raises(BadInput, match="altered"):
        open_snapshot(stocked.snapshots, taken.digest)
    with pytest.raises(NotFound):
        open_snapshot(stocked.snapshots, "none")


def test_an_empty_catalogue_has_no_snapshot(stores: Stores) -> None:
    with pytest.raises(NotFound, match="no photos yet"):
        take_snapshot(stores.database, stores.snapshots, SHARES)
