"""Tasks: their files, the loaders of labelled photos, groups and folds, multiplied classes, the guard."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from app.wiring import Stores
from catalogue.errors import BadInput, BadPhoto, BadRelease, NotFound
from catalogue.queries import ProductPhotoRow
from tests.conftest import encoded, picture
from training import crossing
from training.aihub import parse_json, parse_xml
from training.fitting import Fitted, Plan, measures_of, packed_photos
from training.folds import draw, folds_of, hold_out, joined_groups
from training.grid import read_grid
from training.guard import Shown, fit_guard, logits_of, threshold_for
from training.labelled import load, whole_box
from training.multiplying import multiplied, plan, read_multiply
from training.pixels import pack_images, sweep_pixels
from training.recipes import Recipe, read_recipe
from training.sampling import epoch_order
from training.shipped_tasks import install_task, shipped
from training.starting import new_network
from training.task_data import Facts, TaskData, TaskPhoto, read_data
from training.task_file import SHIPPED, Guard, Source, Task, find_task, parted, read_task, recipe_of, tasks
from vision.classification import classification, log_loss
from vision.preprocessing import Preprocessing

GRIDS = Path(__file__).parents[2] / "benchmarks" / "grids"


def folder_of(place: Path, counts: dict[str, int], first: int = 0) -> Path:
    """A folder of different pictures, one folder a class."""
    for at, (name, count) in enumerate(counts.items()):
        (place / name).mkdir(parents=True)
        for number in range(count):
            (place / name / f"{number}.png").write_bytes(encoded(picture(first + 100 * at + number), "PNG"))
    return place


def task_file(place: Path, text: str) -> Path:
    path = place / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def command_of(path: Path, program: str) -> tuple[list[str], Path | None, list[str]]:
    """The command in a grid's first lines, behind the program's name: its words, its recipe's file, its changes."""
    said = path.read_text(encoding="utf-8").partition("[[cells]]")[0].partition(program)[2]
    words = said.replace("#", "").replace("\\", "").split()
    assert words[words.index("--grid") + 1] == f"{GRIDS.parent.name}/{GRIDS.name}/{path.name}"
    return (words, GRIDS.parents[1] / words[words.index("--recipe") + 1] if "--recipe" in words else None,
            [words[at + 1] for at, word in enumerate(words) if word == "--set"])


@pytest.mark.parametrize("path", sorted({*GRIDS.glob("*.toml")} - {GRIDS / "studio.toml"}), ids=lambda path: path.stem)
def test_every_cell_of_a_grid_is_a_recipe_of_its_task(path: Path, tmp_path: Path) -> None:
    words, recipe, changes = command_of(path, "solesearch task compare")
    task = find_task(words[0], tmp_path)
    for cell in read_grid(path, []):
        settings, rules = parted([*changes, *cell.changes])
        recipe_of(task, recipe, settings)
        assert all(rule.name in (*task.classes, "*") for rule in rules or ()), cell


def test_every_cell_of_the_studio_grid_is_a_recipe_of_its_own() -> None:
    _, recipe, changes = command_of(GRIDS / "studio.toml", "benchmarks.unseen")
    cells = read_grid(GRIDS / "studio.toml", [])
    assert len({read_recipe(recipe, (*changes, *one.changes)).digest for one in cells}) == len(cells)


def test_a_long_name_takes_no_room_from_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(crossing, "save_drawing", lambda figure, path: drawn.append(figure))
    found = classification(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    for name in ("cnn3", "mobilenet_v2_same start=mobilenet_v2-imagenet.pth size=192 size_from=112 class_weights=0.25"):
        crossing.draw([crossing.Crossed(name, ("hat", "shoes"), (found, found), found, 0.1, 1, 1.0, 0.9)], tmp_path)
        drawn[-1].draw_without_rendering()
        assert all(place.get_position().width > 0.3 for place in drawn[-1].axes), name


def test_folds_that_overfit_are_named_and_names_in_any_letters_are_drawn(tmp_path: Path) -> None:
    truth = np.arange(40) % 2
    found = classification(truth, np.where(np.arange(40) < 28, truth, 1 - truth), 2)
    one = crossing.Crossed("cnn3", ("모자", "hat"), (found, found), found, 0.1, 1, 1.0, 0.99)
    assert " overfits" in crossing.table([one]) and one.as_dict()["overfits"]
    assert " overfits" not in crossing.table([replace(one, train_accuracy=0.75)])
    crossing.draw([one], tmp_path / "folds.png")
    assert (tmp_path / "folds.png").stat().st_size > 1000


def test_a_file_says_a_task(tmp_path: Path) -> None:
    found = read_task(task_file(tmp_path, """about = "x"
        classes = ["hat", "shoes"]
        filled = "hat"
        [data]
        kind = "csv"
        path = "l.csv"
        [recipe]
        size = 32
        [[multiply]]
        how = "geometric"
        [[multiply]]
        how = "colour"
        class = "hat"
        times = 2
        [guard]
        class = "shoes"
        refuse_at_most = 0.01"""))
    assert found.name == "mine" and found.guard == Guard("shoes", 0.01) and found.data.kind == "csv"
    assert [str(one) for one in found.multiply] == ["geometric:*:4", "colour:hat:2"]
    recipe = recipe_of(found, changes=["epochs=3"])
    assert (recipe.size, recipe.epochs, recipe.head, recipe.loss, recipe.sampling) == (32, 3, "linear", "ce", "natural")
    assert tasks(tmp_path)["mine"] == tmp_path / "mine.toml" and find_task("mine", tmp_path) == found
    with pytest.raises(NotFound, match="garment"):
        find_task("none", tmp_path)


@pytest.mark.parametrize(("text", "says"), [
    ("about = 3", "about must be str"), ("classes = ['a']", "two or more"), ("colour = 1", "'colour'; it has name"),
    ("name = 'other'", "must agree"), ("[data]\nkind = 'ftp'", "folders, csv, aihub, catalogue"),
    ("[data]\nval = 2.0", "val is a share"), ("[recipe]\nsize = 3", "size lies"), ("[recipe]\nx = 3", "no setting 'x'"),
    ("[guard]\nclass = 3", "class must be str"), ("[guard]\nrefuse_at_most = 0.1", "lacks a field"),
    ("classes = ['a', 'b']\n[guard]\nclass = 'c'", "'c' is none of the classes: a, b"),
    ("[multiply]\nhow = 'x'", "copies, geometric, colour"),
    ("[multiply]\nhow = 'copies'\nwho = 1", "it has how, class"),
    ("x = = 1", "cannot be read"), ("classes = 'hat'", "list of words"), ("classes = 3", "list of words"),
    ("recipe = 'fast.toml'", "[recipe] must be a table"), ("multiply = 3", "must be a table"),
    ("[data]\nlabels = 'x'", "[labels] must be a table"), ("classes = [1, 2]", "list of words"),
    ("data = 3", "must be a table"),
])
def test_what_a_file_gets_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=r"mine\.toml") as found:
        read_task(task_file(tmp_path, text))
    assert says in str(found.value)


def test_shipped_tasks_can_be_read() -> None:
    assert {"garment", "shelf", "grocery", "style", "style-kfashion", "shoe-type"} <= tasks(Path("none")).keys()
    for path in SHIPPED.glob("*.toml"):
        assert read_task(path).about


def test_the_recipe_for_few_photos_goes_before_a_task_s_own() -> None:
    for path in SHIPPED.glob("*.toml"):
        recipe = recipe_of(read_task(path), SHIPPED.parent / "finetuning.toml", ["start=here.pth"])
        assert (recipe.size, recipe.start, recipe.loss) == (192, "here.pth", "ce") and recipe.crop < 1, path.stem


def test_folders_give_sides_or_a_part_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "one", {"a": 10, "b": 20})
    (folder / "a" / "bad.jpg").write_bytes(b"no picture")
    (folder / "a" / "notes.txt").write_text("not a photo")
    found = read_data(load(Source(), folder), Source(val=0.2), (), tmp_path / "cache")
    assert found.classes == ("a", "b") and len(found.photos) == 30
    assert len(found.unreadable) == 1 and "bad.jpg" in found.unreadable[0]
    assert found.supports("val") == {"a": 2, "b": 4} and found.supports("train") == {"a": 8, "b": 16}
    again = read_data(load(Source(), folder), Source(val=0.2), (), tmp_path / "cache")
    assert again == found and again.digest == found.digest
    with monkeypatch.context() as patch:
        read: list[Path] = []
        patch.setattr("training.task_data._facts", lambda path: read.append(path) or Facts(wrong="unread"))
        (folder / "a" / "new.jpg").write_bytes(encoded(picture(77)))
        read_data(load(Source(), folder), Source(val=0.2), (), tmp_path / "cache")
        assert {path.name for path in read} == {"new.jpg", "bad.jpg"} and len(list((tmp_path / "cache").iterdir())) == 1
    (folder / "a" / "new.jpg").unlink()
    both = tmp_path / "both"
    folder_of(both / "train", {"a": 3, "b": 3})
    folder_of(both / "val", {"a": 1, "b": 1}, first=3)
    (both / "val" / "a" / "copy.png").write_bytes((both / "train" / "a" / "0.png").read_bytes())
    parted = read_data(load(Source(), both), Source(), ("b", "a"), tmp_path / "cache")
    assert parted.supports("val") == {"b": 1, "a": 2} and parted.leaked == 1
    with pytest.raises(BadInput, match="'b' is no class"):
        read_data(load(Source(), both), Source(), ("a", "c"), tmp_path / "cache")
    with pytest.raises(BadInput, match="--data"):
        load(Source(), tmp_path / "nowhere")
    with pytest.raises(BadInput, match="one folder of photos a class"):
        load(Source(), tmp_path / "cache")


def test_a_test_set_is_left_out_where_others_are_held_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for at, (side, count) in enumerate((("train", 4), ("test", 3), ("val", 2))):
        folder_of(tmp_path / side, {"a": count, "b": count}, first=10 * at)
        found = load(Source(), tmp_path)
        held = [one.path.parts[-3] for one in found if one.side == "val"]
        assert held == {"train": [], "test": ["test"] * 6, "val": ["val"] * 4}[side]
    assert len(found) == 12 and "6 photos called a test are left out" in caplog.text


def test_what_is_no_photo_is_counted_and_sides_are_not_classes(tmp_path: Path,
                                                               caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of(tmp_path, {"cat": 2, "dog": 2})
    for name in ("bird/0.bmp", "bird/1.bmp", "dog/.DS_Store"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert {one.label for one in load(Source(), folder)} == {"cat", "dog"}
    assert "left out 2 files" in caplog.text and "2 × .bmp" in caplog.text
    folder_of(folder, {"train": 2})
    with pytest.raises(BadInput, match="'cat' beside 'train'"):
        load(Source(), folder)


def test_labels_that_are_all_no_class_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", {"boot": 2, "runner": 2})
    with pytest.raises(BadInput, match="labels are boot, runner, classes heels, sandals; say what a label means"):
        read_data(load(Source(), folder), Source(others="skip"), ("heels", "sandals"), tmp_path / "cache")


def test_a_guard_is_fitted_without_photos_that_are_gone(caplog: pytest.LogCaptureFixture) -> None:
    def opened(name: str) -> Image.Image:
        if name == "gone":
            raise NotFound("there is no photo gone")
        return Image.new("RGB", (20, 20))

    recipe = recipe_of(Task("mine"), None, ["backbone=cnn3", "size=32"])
    network = new_network(recipe, 2).eval()
    found = logits_of(network, recipe.preprocessing, Shown(["a", "gone", "b"], opened), torch.device("cpu"))
    assert found.shape == (2, 2) and "1 of 3 photos cannot be read" in caplog.text


def test_a_balanced_epoch_is_as_long_as_there_are_photos_and_no_mirror_image_is_asked_without_flips() -> None:
    recipe = recipe_of(Task("mine"), None, ["sampling=balanced", "flip=false"])
    labels = np.repeat([0, 1], [30, 5])
    order = epoch_order(recipe, labels, labels, 0, 0)
    assert np.bincount(labels[order]).tolist() == [18, 18] and not recipe.mirrored
    assert recipe_of(Task("mine"), None, ["flip=false", "mirrored=true"]).mirrored


def test_a_class_of_which_nothing_is_held_out_is_named_with_the_reason(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder_of(tmp_path / "sides" / "train", {"a": 3, "b": 3})
    folder_of(tmp_path / "sides" / "val", {"a": 1}, first=3)
    read_data(load(Source(), tmp_path / "sides"), Source(), (), tmp_path / "cache")
    assert "no photo of b is held out: the data hold out none" in caplog.text
    twice = folder_of(tmp_path / "parts", {"a": 6, "b": 1})
    (twice / "b" / "same.png").write_bytes((twice / "b" / "0.png").read_bytes())
    read_data(load(Source(), twice), Source(val=0.2), (), tmp_path / "cache")
    assert "no photo of b is held out: its photos are all near-duplicates" in caplog.text


def test_a_csv_says_labels_sides_and_boxes(tmp_path: Path) -> None:
    folder_of(tmp_path, {"all": 6})
    rows = ["path,label,split,x0,y0,x1,y1", "all/0.png,a,train,10,8,30,20.4", "all/1.png,b,train,,,,",
            "all/2.png,b,validation,,,,", "all/3.png,a,val,-5,-5,900,900", "all/4.png,a,train,500,500,600,600",
            "all/gone.png,b,train,,,,"]
    (tmp_path / "l.csv").write_text("\n".join(rows))
    entries = load(Source(kind="csv"), tmp_path / "l.csv")
    found = read_data(entries, Source(), (), tmp_path / "cache")
    assert [photo.box for photo in found.photos] == [(10, 8, 30, 20), None, None, (0, 0, 64, 48)]
    assert found.photos[0].image().size == (20, 12)
    assert len(found.unreadable) == 2 and "box" in found.unreadable[0]
    (tmp_path / "s.csv").write_text("path,label,split\nall/0.png,a,\nall/1.png,b,\nall/2.png,a,val\nall/3.png,b,val")
    partly = read_data(load(Source(kind="csv"), tmp_path / "s.csv"), Source(), (), tmp_path / "cache")
    assert partly.supports("train") == {"a": 1, "b": 1} == partly.supports("val")  # blank is train
    for wrong, says in (("a.png,,train,,,,", "label is empty"), ("a.png,a,middle,,,,", "split is one of"),
                        ("a.png,a,,1,2,,", "four numbers"), ("a.png", "label is empty")):
        (tmp_path / "w.csv").write_text(rows[0] + "\n" + wrong)
        with pytest.raises(BadInput, match=says):
            load(Source(), tmp_path / "w.csv")


KFASHION = {"이미지 정보": {"이미지 파일명": "(2).jpg"}, "데이터셋 정보": {"데이터셋 상세설명": {
    "렉트좌표": {"아우터": [{}], "상의": [{"X좌표": 10, "Y좌표": 5.0, "가로": 20, "세로": 10}],
             "하의": [{"X좌표": 12, "Y좌표": 14, "가로": 10, "세로": 30}]},
    "라벨링": {"스타일": [{"스타일": "리조트", "서브스타일": "로맨틱"}], "상의": [{"색상": "화이트"}]}}}}


def test_labels_of_ai_hub_sets_are_read(tmp_path: Path) -> None:
    found = parse_json(json.dumps(KFASHION))
    assert (found.label, found.box, found.photo) == ("리조트", (10, 5, 30, 44), "(2).jpg")
    assert parse_json(json.dumps({**KFASHION, "bbox": [None, [1, 2], "3", 4]})).box == found.box
    box = parse_xml("<annotation><filename>7.jpg</filename><object><name>x</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
                    "<xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>")
    assert box.box == (1, 2, 30, 40)
    assert parse_xml("<a><div_cd><item_no>7</item_no><img_prod_nm>Oat drink</img_prod_nm></div_cd></a>").label \
        == "Oat drink"
    with pytest.raises(ValueError, match="document type"):
        parse_xml("<!DOCTYPE a><a/>")


def test_an_ai_hub_folder_joins_labels_and_photos(tmp_path: Path) -> None:
    other = json.loads(json.dumps(KFASHION, ensure_ascii=False).replace("리조트", "모던"))  # a style that is no class
    for style, number, said in (("리조트", 1, KFASHION), ("리조트", 2, KFASHION), ("모던", 3, other)):
        labels, photos = (tmp_path / "Training" / place / style for place in ("라벨링데이터", "원천데이터"))
        labels.mkdir(parents=True, exist_ok=True)
        photos.mkdir(parents=True, exist_ok=True)
        (labels / f"{number}.json").write_text(json.dumps(said), encoding="utf-8")
        if number != 2:
            (photos / f"{number}.jpg").write_bytes(encoded(picture(number)))
    (tmp_path / "about.json").write_text('{"version": 1}')
    source = Source(kind="aihub", labels={"리조트": "resort"}, others="skip")
    entries = load(source, tmp_path)
    assert [(one.label, one.side, one.path.exists()) for one in entries] == [
        ("resort", "train", True), ("resort", "train", False), ("모던", "train", True)]
    (tmp_path / "Training" / "라벨링데이터" / "리조트" / "1.json").write_text("{")
    with pytest.raises(BadInput, match=r"1\.json"):
        load(source, tmp_path)


def test_labels_of_ai_hub_keep_to_their_side(tmp_path: Path) -> None:
    for side in ("Training", "Validation", "Test"):
        for kind in ("라벨링데이터", "원천데이터"):
            (tmp_path / side / kind / "리조트").mkdir(parents=True)
        (tmp_path / side / "라벨링데이터" / "리조트" / "1.json").write_text(json.dumps(KFASHION), encoding="utf-8")
        (tmp_path / side / "원천데이터" / "리조트" / "1.jpg").write_bytes(encoded(picture(len(side))))
    said = [(one.path.relative_to(tmp_path).parts[0], one.side) for one in load(Source(kind="aihub"), tmp_path)]
    assert said == [("Training", "train"), ("Validation", "val")]  # a test is not asked here
    training = tmp_path / "Training" / "원천데이터" / "리조트" / "1.jpg"
    (tmp_path / "more" / "리조트").mkdir(parents=True)
    (tmp_path / "more" / "리조트" / "1.jpg").write_bytes(training.read_bytes())
    assert load(Source(kind="aihub"), tmp_path)[0].path == training  # that is nearer
    training.rename(training.with_name("2.jpg"))
    assert load(Source(kind="aihub"), tmp_path)[0].path.parts[-3] == "more"  # of no side, so of any
    (tmp_path / "more" / "리조트" / "1.png").write_bytes(encoded(picture(1), "PNG"))
    with pytest.raises(BadInput, match=r"1\.json may mean .*1\.jpg or .*1\.png"):
        load(Source(kind="aihub"), tmp_path)


def test_retail_products_take_name_and_box_from_two_files(tmp_path: Path) -> None:
    for product, number in (("oat", 1), ("tea", 2)):
        place = tmp_path / product
        place.mkdir()
        (place / f"{number}.jpg").write_bytes(encoded(picture(number)))
        (place / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.jpg</filename><object><name>thing</name><bndbox><xmin>4</xmin>"
            "<ymin>4</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object></annotation>")
        (place / f"{number}_meta.xml").write_text(
            f"<comp_cd><div_cd><img_prod_nm>{product} drink</img_prod_nm></div_cd></comp_cd>")
    found = load(Source(kind="aihub"), tmp_path)
    assert [(one.label, one.box) for one in found] == [("oat drink", (4, 4, 40, 30)), ("tea drink", (4, 4, 40, 30))]


def test_the_catalogue_gives_an_attribute_and_keeps_models_together(stores: Stores) -> None:
    rows = []
    for number in range(8):
        stored = stores.photos.put(encoded(picture(number), "PNG"))
        rows.append(ProductPhotoRow(number, stored.sha256, stored.dhash, f"p{number}", f"m{number // 2}", "Tavero",
                                    "boot" if number < 4 else "" if number == 7 else "clog", 0))
    source = Source(kind="catalogue", val=0.4)
    found = read_data(load(source, None, rows, stores.photos), source, (), stores.runs)
    assert found.classes == ("boot", "clog") and len(found.photos) == 7
    assert found.groups.tolist()[:4] in ([0, 0, 1, 1], [1, 1, 0, 0])
    with pytest.raises(BadInput, match="shoe_type or brand"):
        load(Source(kind="catalogue", attribute="price"), None, rows, stores.photos)


def test_near_duplicates_share_a_group_and_other_colours_do_not(tmp_path: Path) -> None:
    base = picture(5, (96, 96))
    red = Image.merge("RGB", [base.getchannel(1), base.getchannel(2), base.getchannel(0)])
    (tmp_path / "t" / "a").mkdir(parents=True)
    (tmp_path / "t" / "b").mkdir()
    for name, image in (("0", base), ("1", base.resize((48, 48))), ("2", red), ("3", picture(6))):
        (tmp_path / "t" / "a" / f"{name}.png").write_bytes(encoded(image, "PNG"))
    for name in ("0", "1"):
        (tmp_path / "t" / "b" / f"{name}.png").write_bytes(encoded(picture(8 + int(name)), "PNG"))
    groups = read_data(load(Source(), tmp_path / "t"), Source(), (), tmp_path).groups
    assert groups[0] == groups[1] and len(set(groups.tolist())) == 5


def test_folds_keep_groups_together_and_classes_even() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [90, 30])
    groups = np.concatenate([random.integers(0, 60, 90), 60 + random.integers(0, 25, 30)])
    place = folds_of(labels, groups, 5, seed=1)
    for group in np.unique(groups):
        assert len(set(place[groups == group].tolist())) == 1
    counts = np.array([[((place == fold) & (labels == label)).sum() for label in (0, 1)] for fold in range(5)])
    assert np.ptp(counts[:, 0]) <= 3 and np.ptp(counts[:, 1]) <= 2
    assert (folds_of(labels, groups, 5, seed=1) == place).all()
    held = hold_out(labels, groups, 0.2, seed=0)
    assert not np.isin(groups[held], groups[~held]).any() and 15 <= held[labels == 0].sum() <= 20
    alone = hold_out(np.array([0, 0, 1]), np.array([0, 0, 1]), 0.5, seed=0)
    assert not alone.any()  # a class of one group is trained on
    large = hold_out(np.zeros(7, dtype=int), np.array([0, 0, 0, 1, 1, 2, 2]), 0.1, seed=0)
    assert large.sum() == 2  # however large its groups are, a class of two has one held out, the smallest
    rows = draw(labels, groups, {0: 20, 1: 5}, seed=0)
    assert np.bincount(labels[rows]).tolist() == [20, 5] and len(set(groups[rows].tolist())) == 25
    joined = joined_groups(np.array([0, 1]), np.zeros(2, np.uint64), np.zeros((2, 3)), ["x", "x"], ["", ""], 4, 4)
    assert joined.tolist() == [0, 0]  # identical bytes, whatever they are labelled


def test_classes_are_multiplied() -> None:
    labels, classes = np.array([0, 0, 1]), ("a", "b")
    rules = read_multiply("geometric:*:4+copies:b:4")
    origin, how = plan(labels, classes, rules)
    assert np.bincount(labels[origin]).tolist() == [6, 15] and (how == 1).sum() == 9  # 2·4 and 1·16 in all
    packed = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 4), dtype=np.uint8)
    pixels, rows, found = multiplied(packed, np.array([0, 1, 3]), labels, classes, rules, seed=0)
    assert len(pixels) == 4 + 9 and len(rows) == len(found) == 24 and (pixels[:4] == packed).all()
    assert (rows[-12:] == 3).sum() == 12 or set(rows[-12:].tolist()) <= {3, *range(4, 13)}
    colour = multiplied(packed, np.array([0, 1, 3]), labels, classes, read_multiply("colour:b:2"), 0)[0]
    assert len(colour) == 5 and (colour[4, ..., :3] != packed[3, ..., :3]).any()
    assert multiplied(packed, rows, labels, classes, (), 0)[0] is packed
    assert parted(["lr=1", "multiply=none"]) == (["lr=1"], ()) and parted(["lr=1"])[1] is None
    for wrong in ("x:a:4", "copies:a", "copies:a:1"):
        with pytest.raises(BadInput):
            read_multiply(wrong)
    with pytest.raises(BadInput, match="'c' is none"):
        plan(labels, classes, read_multiply("copies:c:2"))


def test_a_guard_refuses_no_more_than_it_may() -> None:
    sure = np.random.default_rng(0).beta(8, 2, 20_000)
    threshold = threshold_for(sure[:2000], 0.005)
    assert (sure[:2000] < threshold).mean() <= 0.005 and (sure[2000:] < threshold).mean() <= 0.005
    assert threshold_for(sure[:276], 0.005) == 0 < threshold_for(sure[:277], 0.005)
    assert threshold_for(np.array([0.9, 0.4]), 0.005) == 0  # too few to know: none is refused
    assert threshold_for(np.full(1000, 0.99), 0.005) == 0.5 and threshold_for(np.empty(0), 0.005) == 0
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]))
    guard = fit_guard(Guard("shoe", 0.4), ("hat", "shoe"), logits, np.array([0, 1, 1]), np.log(np.array([[0.4, 0.6]])))
    assert (guard.photos, guard.refused, guard.threshold, guard.caught) == (3, 0, pytest.approx(0.5), 1)
    few = fit_guard(Guard("shoe"), ("hat", "shoe"), logits, np.array([0, 1, 1]), np.log(np.array([[0.4, 0.6]])))
    assert (few.photos, few.threshold, few.caught) == (3, 0, 0)
    with pytest.raises(BadInput, match="'x' is none"):
        fit_guard(Guard("x"), ("hat", "shoe"), logits, np.array([0, 1, 1]), np.empty((0, 2)))


def test_a_task_recipe_is_not_that_of_products() -> None:
    assert recipe_of(find_task("garment", Path("none"))) != Recipe()


def test_a_box_is_cut_to_the_photo_or_refused() -> None:
    assert whole_box(None, 10, 10) is None
    assert whole_box((-3.2, 2.9, 40, 9.6), 20, 10) == (0, 2, 20, 10)
    for lost in ((30, 0, 40, 9), (5, 5, 5.5, 9), (float("nan"), 0, 9, 9), (0, 0, float("inf"), 9)):
        with pytest.raises(BadPhoto, match="outside"):
            whole_box(lost, 20, 10)


def test_packed_photos_that_no_training_asks_for_are_removed(tmp_path: Path) -> None:
    names = ["a", "b"]
    for folder in ("old", "used"):
        pack_images(names, lambda row: picture(row), Preprocessing(16), tmp_path / folder)
        os.utime(tmp_path / folder / "pixels.done", (0, 0))
    again = pack_images(names, lambda row: pytest.fail("packed twice"), Preprocessing(16), tmp_path / "used")
    sweep_pixels(tmp_path)
    assert [path.parent.name for path in tmp_path.glob("*/pixels.u8")] == ["used"] and again.any()
    sweep_pixels(tmp_path / "none")


def test_a_training_keeps_its_own_packed_photos_however_old(tmp_path: Path) -> None:
    found = read_data(load(Source(), folder_of(tmp_path / "photos", {"a": 3, "b": 3})), Source(), (), tmp_path)
    packed_photos(found, Recipe(size=16), tmp_path)
    os.utime(next(tmp_path.glob("task-pixels/*/pixels.done")), (0, 0))
    assert len(packed_photos(found, Recipe(size=16), tmp_path, lambda _: pytest.fail("packed twice"))) == 6
    assert list(tmp_path.glob("task-pixels/*/pixels.u8"))


def test_the_loss_of_a_release_is_that_of_its_curves() -> None:
    data = TaskData(("a", "b"), tuple(TaskPhoto(Path("x"), at % 2, "val", None, "", at) for at in range(6)))
    rows, logits = np.arange(6), np.array([[9.0, 0], [0, 9], [0, 9], [9, 0], [9, 0], [0, 9]])
    history = [{"epoch": 1, "loss": 1.0, "photos_per_s": 1.0, "seconds": 1.0}]
    fitted = Fitted(new_network(Recipe(backbone="cnn3", size=16), 2), history, logits, rows, rows)
    found = measures_of(Plan(Task("mine"), Recipe()), data, fitted)
    assert found["val_loss"] == log_loss(logits, data.labels) > 2  # sure, and wrong of every third


def test_a_pair_of_files_that_do_not_belong_together_is_not_installed(stores: Stores, tmp_path: Path) -> None:
    for name in shipped():
        said = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))
        assert said["weights"] == hashlib.sha256((SHIPPED / f"{name}.pt").read_bytes()).hexdigest()
    (tmp_path / "garment.json").write_bytes((SHIPPED / "garment.json").read_bytes())
    (tmp_path / "garment.pt").write_bytes((SHIPPED / "grocery.pt").read_bytes())
    with pytest.raises(BadRelease, match=r"does not describe the weights in garment\.pt"):
        install_task("garment", stores.releases, lambda: pytest.fail("asked for photos"), "cpu", tmp_path)
