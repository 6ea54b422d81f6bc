"""The rendered shoes: same seed, same bytes; colourways share a form; every kind renders."""

import io

import numpy as np
import pytest
from PIL import Image

from demo.camera import framed, orbit, placed, pose
from demo.colours import COLOURS, colourways_of
from demo.lights import Light
from demo.models import model_of
from demo.pictures import jpeg
from demo.shoe import KINDS, Sole

torch = pytest.importorskip("torch")

from demo.geometry import shoe_cloud  # noqa: E402
from demo.render import Renderer  # noqa: E402
from demo.street import street  # noqa: E402
from demo.studio import STUDIO_VIEWS, studio  # noqa: E402
from demo.subjects import Subject, subject_of  # noqa: E402

SIZE = 64


@pytest.fixture(scope="module")
def runner() -> Subject:
    model = model_of(1, "runner")
    return subject_of(model, colourways_of(model, 1)[0], SIZE)


def test_same_seed_gives_same_bytes(runner: Subject) -> None:
    fresh = subject_of(model_of(1, "runner"), colourways_of(model_of(1, "runner"), 3)[0], SIZE)
    for make in (studio, street):
        assert jpeg(make(runner, 2, SIZE, Renderer())) == jpeg(make(fresh, 2, SIZE, Renderer()))


def test_bytes_do_not_depend_on_threads_or_chunks(runner: Subject) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        many = street(runner, 0, SIZE, Renderer(chunk=1 << 22)).pixels
        torch.set_num_threads(1)
        assert np.array_equal(many, street(runner, 0, SIZE, Renderer(chunk=1000)).pixels)
    finally:
        torch.set_num_threads(before)


def test_colourways_share_the_silhouette_and_differ_in_colour() -> None:
    model = model_of(2, "low sneaker")
    cloud = shoe_cloud(model, 90)
    camera = orbit(30, 15, 0, (0.5, 0, 0.15), 3, (SIZE, SIZE))
    camera = framed(camera, placed(cloud.xyz[::50], pose()), 0.8, 0.8, (0.5, 0.5))
    light = Light((0.3, 0.5, 0.8), (1.0,) * 3, (0.5,) * 3, (0.3,) * 3)
    layers = [
        Renderer().draw([Subject(model, colourway, cloud).thing(pose())], camera, light)
        for colourway in colourways_of(model, 4)
    ]
    for one in layers[1:]:
        assert np.array_equal(one.cover, layers[0].cover)
    for i, one in enumerate(layers):
        for other in layers[:i]:
            assert np.abs(one.rgb - other.rgb).max() > 0.1


def test_models_differ_in_form() -> None:
    first, second = (shoe_cloud(model_of(seed, "low sneaker"), 60) for seed in (2, 15))
    assert first.xyz.shape != second.xyz.shape or not np.allclose(first.xyz, second.xyz, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_stands_on_the_ground_and_fills_its_picture(kind: str) -> None:
    model = model_of(5, kind)
    subject = subject_of(model, colourways_of(model, 1)[0], SIZE)
    assert abs(float(subject.cloud.xyz[:, 2].min())) < 0.05
    photo = studio(subject, 2, SIZE, Renderer())
    columns = np.flatnonzero((photo.cover > 0.5).any(0))
    assert 0.3 * SIZE < columns[-1] - columns[0] < SIZE
    assert photo.pixels[0, 0].min() > 230


def test_street_photos_show_the_shoe(runner: Subject) -> None:
    for number in range(6):
        photo = street(runner, number, SIZE, Renderer())
        assert max(photo.pixels.shape[:2]) == SIZE
        columns = np.flatnonzero((photo.cover > 0.5).any(0))
        assert columns[-1] - columns[0] > 0.2 * photo.pixels.shape[1]


def test_every_studio_view_is_another_picture(runner: Subject) -> None:
    views = [studio(runner, view, SIZE, Renderer()).pixels for view in range(len(STUDIO_VIEWS))]
    for i, one in enumerate(views):
        assert all(np.abs(one.astype(int) - other).mean() > 1 for other in views[:i])


def test_jpeg_is_readable(runner: Subject) -> None:
    image = Image.open(io.BytesIO(jpeg(studio(runner, 0, SIZE, Renderer()))))
    assert image.format == "JPEG" and image.size == (SIZE, SIZE) and image.mode == "RGB"


def test_colourway_names_are_unique_and_known() -> None:
    for seed in range(40):
        ways = colourways_of(model_of(seed), 5)
        assert len({way.name for way in ways}) == 5
        assert all(role in COLOURS for way in ways for role in way.roles)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown sole kind"):
        Sole(kind="wheels")
    with pytest.raises(ValueError, match="nothing to draw"):
        Renderer().draw([], orbit(0, 0, 0, (0, 0, 0), 1, (8, 8)), Light((0, 0, 1), (1,) * 3, (1,) * 3, (1,) * 3))
