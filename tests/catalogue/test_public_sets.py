"""Public sets in their official folders (made up here): what is read, refused, imported and measured."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.wiring import Stores
from benchmarks import public
from benchmarks.own_stores import own_stores
from catalogue.errors import BadInput
from catalogue.imports import import_path
from catalogue.public_sets import PublicPhoto, read_public
from catalogue.tables import Product
from tests.conftest import encoded, picture


def shown(path: Path, product: int, view: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(product, shift=view), quality=90))


def online_products(folder: Path) -> Path:
    number = 0
    for name, products in (("Ebay_train.txt", range(1, 5)), ("Ebay_test.txt", range(5, 8))):
        lines = ["image_id class_id super_class_id path"]
        for product in products:
            for view in range(3):
                number += 1
                place = f"lamp_final/{product}_{view}.JPG"
                shown(folder / place, product, view)
                lines.append(f"{number} {product} 1 {place}")
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def in_shop(folder: Path) -> Path:
    rows = []
    for product, sides in enumerate((("train", "train"), ("train", "train"), ("query", "gallery"),
                                     ("query", "gallery", "gallery"))):
        for view, side in enumerate(sides):
            place = f"img/WOMEN/Dresses/id_{product:08}/0{view}_1_front.jpg"
            shown(folder / "Img" / place, product, view)
            rows.append(f"{place}     id_{product:08}  {side}")
    (folder / "Eval").mkdir()
    (folder / "Eval" / "list_eval_partition.txt").write_text(
        f"{len(rows)}\nimage_name item_id evaluation_status\n" + "\n".join(rows) + "\n")
    return folder


def zappos(folder: Path) -> Path:
    rows = ["CID,Category,SubCategory,Gender"]
    for model in range(1001, 1013):
        for colour in range(2):
            shown(folder / "ut-zap50k-images" / "Shoes" / "Loafers" / "Tavero Co." / f"{model}.{colour}.jpg", model,
                  colour)
            rows.append(f"{model}-{colour},Shoes,Loafers,Women")
    (folder / "ut-zap50k-data").mkdir()
    (folder / "ut-zap50k-data" / "meta-data.csv").write_text("\n".join(rows) + "\n")
    return folder


MADE: dict[str, Callable[[Path], Path]] = {"sop": online_products, "inshop": in_shop, "zappos": zappos}


def test_online_products_keep_their_official_split(tmp_path: Path) -> None:
    photos = read_public("sop", online_products(tmp_path))
    assert photos[0] == PublicPhoto(tmp_path / "lamp_final/1_0.JPG", "1", "1", "lamp", "train")
    assert [sum(photo.side == side for photo in photos) for side in ("train", "both")] == [12, 9]


def test_in_shop_keeps_queries_and_gallery_apart(tmp_path: Path) -> None:
    photos = read_public("inshop", in_shop(tmp_path))
    assert [photo.side for photo in photos[4:]] == ["query", "gallery", "query", "gallery", "gallery"]
    assert photos[8].product == "id_00000003" and photos[8].kind == "WOMEN/Dresses" and photos[8].path.is_file()
    (tmp_path / "Eval" / "list_eval_partition.txt").rename(tmp_path / "list_eval_partition.txt")
    (tmp_path / "Img" / "img").rename(tmp_path / "img")
    assert len(read_public("inshop", tmp_path)) == len(photos)


def test_zappos_models_stand_on_one_side_whole(tmp_path: Path) -> None:
    photos = read_public("zappos", zappos(tmp_path))
    assert photos[1].product == "1001-1" and photos[1].model == "1001" and photos[1].brand == "Tavero Co."
    assert photos[1].kind == "Shoes/Loafers" and {photo.side for photo in photos} == {"train", "both"}
    assert len({(photo.model, photo.side) for photo in photos}) == 12


@pytest.mark.parametrize(("layout", "lost", "says"), [
    ("sop", "Ebay_test.txt", "Ebay_test.txt is missing"), ("sop", "lamp_final/6_1.JPG", "1 of the 21 photos"),
    ("inshop", "Eval/list_eval_partition.txt", "list_eval_partition.txt is missing"),
    ("inshop", "Img/img/WOMEN/Dresses/id_00000000/00_1_front.jpg", "00_1_front.jpg; unpack"),
    ("zappos", "ut-zap50k-data/meta-data.csv", "meta-data.csv is missing"),
])
def test_a_missing_file_is_named(tmp_path: Path, layout: str, lost: str, says: str) -> None:
    (MADE[layout](tmp_path) / lost).unlink()
    with pytest.raises(BadInput, match=says):
        read_public(layout, tmp_path)


@pytest.mark.parametrize(("layout", "file", "text", "says"), [
    ("sop", "Ebay_train.txt", "head\n1 2 3\n", "line 2: 4 columns are expected, not 3"),
    ("sop", "Ebay_train.txt", "head\na b 3 x.jpg\n", "line 2: an image and a class number"),
    ("sop", "Ebay_train.txt", "head\n1 2 3 ../x.jpg\n", "outside the set's folder"),
    ("inshop", "Eval/list_eval_partition.txt", "9\nhead\nimg/a.jpg id_1 train\n", "promises 9 photos and lists 1"),
    ("inshop", "Eval/list_eval_partition.txt", "1\nhead\nimg/a.jpg id_1 test\n", "not 'test'"),
    ("inshop", "Eval/list_eval_partition.txt", "", "promises nothing"),
    ("zappos", "ut-zap50k-data/meta-data.csv", "CID\n1-1\n", "no row with the CID 1001-0"),
    ("zappos", "ut-zap50k-data/meta-data.csv", "Number\n1-1\n", "no column 'CID'"),
])
def test_a_bad_list_is_named_by_line(tmp_path: Path, layout: str, file: str, text: str, says: str) -> None:
    (MADE[layout](tmp_path) / file).write_text(text)
    with pytest.raises(BadInput, match=says):
        read_public(layout, tmp_path)


def test_an_unknown_layout_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose one of sop, inshop, zappos"):
        read_public("cub", tmp_path)
    with pytest.raises(BadInput, match="img is missing"):
        (tmp_path / "list_eval_partition.txt").write_text("0\nhead\n")
        read_public("inshop", tmp_path)


def test_a_public_set_is_imported_to_train_on(stores: Stores, tmp_path: Path) -> None:
    done = import_path(stores.database, stores.photos, online_products(tmp_path / "sop"), layout="sop",
                       sets=["sop-train"])
    assert (done.products, done.photos, done.problems) == (4, 12, [])
    done = import_path(stores.database, stores.photos, zappos(tmp_path / "zappos"), layout="zappos")
    assert (done.products, done.photos) == (24, 24)
    with Session(stores.readers) as session:
        products = list(session.scalars(select(Product).where(Product.brand == "Tavero Co.")))
    assert len(products) == 24 and len({product.model_id for product in products}) == 12


def test_recall_counts_photos_and_never_the_query_itself() -> None:
    vectors = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 3]]
    vectors[1] = vectors[3] = [0.6, 0.8, 0, 0, 0, 0]
    labels = np.array([0, 0, 1, 1, 2, 2])
    everyone = np.ones(6, bool)
    ranks, asked = public.ranks_of_right(vectors, labels, np.arange(6), np.arange(6))
    # 0: its other photo ties with a wrong one; 1: a wrong photo is identical, another nearer; 4 and 5: all tie at 0.
    assert asked.tolist() == list(range(6)) and ranks.tolist() == [1, 2, 1, 1, 4, 4]
    row = public.recall(vectors, labels, everyone, everyone, (1, 2, 10))
    assert row["recall@1"] == 0 and row["recall@2"] == pytest.approx(3 / 6) and row["recall@10"] == 1
    alone, asked = public.ranks_of_right(vectors, labels, np.array([0, 4]), np.array([1, 2, 3]))
    assert asked.tolist() == [0] and alone.tolist() == [1]  # the other query has no answer in this gallery
    with pytest.raises(BadInput, match="no query has another photo"):
        public.recall(vectors, labels, np.arange(6) == 4, np.arange(6) < 4, (1,))


@pytest.mark.parametrize("layout", MADE)
def test_a_network_is_trained_on_the_train_side_and_measured_on_the_other(
        layout: str, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(stores.settings.data_dir))
    monkeypatch.setenv("SOLESEARCH_THREADS", "1")
    folder, own = MADE[layout](tmp_path / layout), tmp_path / "own"
    words = ["public", "--set", layout, "--folder", str(folder), "--data", str(own)]
    for change in ("size=32", "epochs=1", "views=4", "batch=8", "precision=fp32"):
        words += ["--change", change]
    monkeypatch.setattr(sys, "argv", words)
    public.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == ["colour histogram", "network"]
    assert all(f"recall@{k} " in line for k in public.RANKS[layout] for line in lines)
    assert {"sop": "9 queries", "inshop": "2 queries"}.get(layout, " queries") in lines[1]
    assert not stores.releases.names("network") and not any(stores.photos.folder.rglob("*"))  # nothing of the user's
    (name,) = own_stores(own).releases.names("network")
    monkeypatch.setattr(sys, "argv", [*words[:7], "--network", name, "--json"])
    public.main()
    assert capsys.readouterr().out.splitlines()[:2] == lines
