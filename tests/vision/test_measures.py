"""Measures against small cases worked out by hand."""

import numpy as np
import pytest

from vision.measures import cluster_interval, expected_calibration_error, leave_one_out, ranked_hits, retrieval, some


def test_a_product_ranks_by_its_best_item_and_once() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], np.float32)
    hits = ranked_hits(scores, np.array([2]), np.array([1, 1, 1, 2]), k=3)
    assert hits.tolist() == [[False, True, False]]


def test_hidden_items_are_never_hits() -> None:
    hits = ranked_hits(np.array([[-np.inf, 0.1]], np.float32), np.array([1]), np.array([1, 2]), k=2)
    assert not hits.any()


def test_retrieval_figures() -> None:
    hits = np.zeros((4, 10), bool)
    hits[0, 0] = hits[1, 1] = hits[2, 9] = True
    found = retrieval(hits, np.array([1, 1, 2, 3]))
    assert (found.recall_at_1, found.recall_at_5, found.recall_at_10) == (0.25, 0.5, 0.75)
    assert found.map_at_10 == pytest.approx((1 + 1 / 2 + 1 / 10) / 4)
    assert found.queries == 4 and found.products == 3 and found.ci95[0] <= 0.25 <= found.ci95[1]
    assert retrieval(np.zeros((0, 10), bool), np.zeros(0)).queries == 0


def test_the_interval_resamples_products_not_photos() -> None:
    values = np.repeat([0.0, 1.0], 500)
    wide = cluster_interval(values, np.repeat([0, 1], 500))
    narrow = cluster_interval(values, np.arange(1000))
    assert wide == (0.0, 1.0) and 0.4 < narrow[0] < 0.5 < narrow[1] < 0.6


def test_leave_one_out_hides_near_duplicates() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    scores, asked = leave_one_out(vectors, np.array([7, 7, 7, 8]), np.array([0, 0, 1, 2]), np.arange(4))
    assert asked.tolist() == [0, 1, 2]
    assert np.isneginf(scores[0, :2]).all() and scores[0, 2] == 0 and np.isneginf(scores[2, 2])


def test_a_photo_left_out_may_ask_in_another_look() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    look = np.eye(3, dtype=np.float32)[[2, 1]]
    scores, asked = leave_one_out(vectors, np.array([7, 7, 7, 8]), np.array([0, 0, 1, 2]), np.array([3, 0]), look)
    assert asked.tolist() == [0]  # 8 has no other photo: its look must not be taken for that of 7
    assert np.isneginf(scores[0, :2]).all() and scores[0, 2:].tolist() == [1, 0]


def test_calibration_error() -> None:
    assert expected_calibration_error(np.full(10, 0.75), np.array([1] * 5 + [0] * 5)) == pytest.approx(0.25)


def test_of_many_rows_a_draw_is_taken_and_always_the_same() -> None:
    drawn = some(range(1000), 5).tolist()
    assert len(set(drawn)) == 5 and drawn == sorted(drawn) == some(range(1000), 5).tolist() and drawn[-1] > 100
    assert some([3, 1], 5).tolist() == [3, 1]
