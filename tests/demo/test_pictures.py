"""The collections: seeds kept apart, folders complete or absent, the shipped pictures whole and small."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalogue.errors import BadInput
from catalogue.products_csv import ProductRow, read_products
from demo.collection import DEMO_SEEDS, demo_articles, training_articles
from demo.pictures import PHOTO_SIZE, PHOTOS, SHOP_VIEWS, STREET_VIEWS, Job, main, render_job

needs_torch = pytest.importorskip("torch")


def test_training_seeds_do_not_touch_the_demo() -> None:
    assert not DEMO_SEEDS.intersection(range(100000, 100600))
    with pytest.raises(BadInput, match="belong to the demo"):
        training_articles(max(DEMO_SEEDS), 3)


def test_the_command_refuses_the_demo_seeds(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--models", "1", "--first-seed", str(min(DEMO_SEEDS)), "--out", str(tmp_path / "x")])
    assert stop.value.code == 2
    assert not (tmp_path / "x").exists()


def test_style_codes_name_one_product_each() -> None:
    articles = [a for model in [*demo_articles(), *training_articles(100000, 60)] for a in model]
    rows = [article.row("rendered", 1) for article in articles]
    assert len({row.sku for row in rows}) == len({row.slug for row in rows}) == len(rows)
    assert all(row.price.endswith("000 KRW") and row.sku.count("-") == 2 for row in rows)


def test_a_collection_resumes_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    command = ["--models", "1", "--first-seed", "100010", "--views", "2", "--size", "48", "--out", str(tmp_path)]
    assert main(command) == 0
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.jpg"))}
    assert before and not list(tmp_path.rglob("*.part"))
    shutil.rmtree(next(iter(before)).parent)
    assert main(command) == 0
    assert before == {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.jpg"))}
    rows = list(read_products(tmp_path))
    assert sum(int(row.n_images) for row in rows) == len(before)


def _shipped() -> list[ProductRow]:
    return list(read_products(PHOTOS))


def test_the_shipped_pictures_are_whole_and_small() -> None:
    rows = _shipped()
    files = list(PHOTOS.rglob("*.jpg"))
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    assert len(files) == sum(int(row.n_images) for row in rows)
    for row in rows:
        for number in range(1, int(row.n_images) + 1):
            assert (PHOTOS / row.set / row.slug / f"{number}.jpg").is_file()
    shop, street = ([row for row in rows if row.set == name] for name in ("shop", "street"))
    assert {row.sku for row in shop} == {row.sku for row in street}
    assert len(shop) >= 48 and len({row.model_group for row in shop}) >= 14
    assert sum(int(row.n_images) for row in street) >= 240


def test_the_shipped_pictures_are_what_the_command_renders(tmp_path: Path) -> None:
    article = demo_articles()[-1][0]
    sets = (("shop", 1, 0), ("street", 0, 1))
    render_job(Job((article,), sets, PHOTO_SIZE, tmp_path))
    for name, _, _ in sets:
        fresh = np.asarray(Image.open(tmp_path / name / article.slug / "1.jpg").convert("RGB"), int)
        kept = np.asarray(Image.open(PHOTOS / name / article.slug / "1.jpg").convert("RGB"), int)
        # Bytes are equal on the same libraries and processor; another one may round a few pixels differently.
        assert fresh.shape == kept.shape and np.abs(fresh - kept).mean() < 1.0
    assert SHOP_VIEWS == 6 and STREET_VIEWS >= 5
