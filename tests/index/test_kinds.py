"""Kinds of index: exact in less memory, approximate only as good as 0.99, and on a GPU one search at a time."""

import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from catalogue.errors import BadInput, BadRelease
from index import kinds
from index.gallery import read_gallery
from index.kinds import KINDS, chosen_kind, make_index, slack_of
from index.search import Part
from index.view import view_of
from tests.index.test_index import made_gallery


def test_the_automatic_kind_is_exact_to_its_limit() -> None:
    assert chosen_kind("auto", 1_000_000) == "flat" and chosen_kind("auto", 1_000_001) == "ivf"
    assert chosen_kind("auto", 11, exact_to=10) == "ivf" and chosen_kind("sq8", 11, exact_to=10) == "sq8"
    with pytest.raises(BadInput, match="unknown kind"):
        chosen_kind("best", 10)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_kind_is_written_read_and_searched(tmp_path: Path, kind: str) -> None:
    gallery = made_gallery(products=200, photos=4, noise=0.3)
    made = gallery.write(tmp_path, kind)
    assert made.kind == kind and (made.recall_at_10 >= 0.99 if kind in ("flat", "ivf", "hnsw", "fp16") else
                                  made.recall_at_10 > 0.9)
    again, index = read_gallery(tmp_path)
    assert np.array_equal(again.vectors, gallery.vectors)
    part = Part("index-made", again, index)
    view, right = view_of((part,)), 0
    exact = view_of((Part("index-flat", gallery, make_index(gallery.vectors, gallery.ids, "flat").index),))
    for row in range(0, 800, 40):
        found, wanted = (one.search(gallery.vectors[row:row + 1], 10) for one in (view, exact))
        right += [match.product_id for match in found] == [match.product_id for match in wanted]
        assert found[0].score == wanted[0].score
    assert right == 20 if kind in ("flat", "fp16", "sq8") else right >= 18
    slack = slack_of(index, again.vectors)
    assert (slack is None) == (kind in ("ivf", "hnsw")) and (slack == 0) == (kind == "flat")


def test_all_products_are_found_however_many_are_asked_for(tmp_path: Path) -> None:
    gallery = made_gallery(products=80, photos=4)
    for kind in KINDS[1:]:
        (tmp_path / kind).mkdir()
        gallery.write(tmp_path / kind, kind)
        view = view_of((Part("index-made", *read_gallery(tmp_path / kind)),))
        found = view.search(gallery.vectors[:1], 1000)
        assert len(found) == 80 if kind in ("flat", "fp16", "sq8") else len(found) > 0


def test_an_approximate_index_that_misses_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = made_gallery(products=80, photos=4)
    monkeypatch.setattr(kinds, "LEAST_RECALL", 1.01)
    with pytest.raises(BadRelease, match="build with --kind flat"):
        make_index(gallery.vectors, gallery.ids, "ivf")


class OneAtATime:
    """An index on a GPU as faiss has it: it must not be asked by two threads at once, nor for more than 2,048."""

    def __init__(self, index: Any) -> None:
        self.index, self.asked, self.inside = index, 0, 0

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.inside += 1
        assert self.inside == 1 and k <= 2048
        found = self.index.search(vectors, k)
        threading.Event().wait(0.002)
        self.inside -= 1
        self.asked += 1
        return found


def test_a_gpu_is_asked_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = made_gallery(products=600, photos=4)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", OneAtATime, raising=False)
    part = Part("index-made", gallery, make_index(gallery.vectors, gallery.ids, "flat").index)
    assert isinstance(part.index, OneAtATime)
    view, failed = view_of((part,)), []

    def ask(row: int) -> None:
        try:
            assert view.search(gallery.vectors[row:row + 1], 3)[0].product_id == gallery.products[row]
        except AssertionError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(0, 64, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and part.index.asked >= 16
    asked = part.index.asked
    assert len(view.search(gallery.vectors[:1], 600)) == 600 and part.index.asked == asked  # 2,400 at once: on the CPU
    small = Part("index-small", gallery, make_index(gallery.vectors, gallery.ids, "sq8").index)
    assert not isinstance(small.index, OneAtATime)
