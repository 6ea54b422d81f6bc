"""Measures of classifiers, against values worked out by hand."""

import numpy as np
import pytest

from vision.classification import (
    best_temperature,
    calibration_error,
    classification,
    log_loss,
    probabilities,
    wilson,
)


def test_measures_are_those_worked_out_by_hand() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    found = classification(truth, np.array([0, 0, 0, 1, 1, 0, 2, 2]), classes=4)
    assert (found.photos, found.correct, found.accuracy) == (8, 6, 0.75)
    assert found.confusion[:3, :3].tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert found.balanced_accuracy == pytest.approx((0.75 + 0.5 + 1) / 3)   # the fourth class has no photo
    assert [round(one.precision, 3) for one in found.classes] == [0.75, 0.5, 1, 0]
    assert found.macro_f1 == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert [(one.correct, one.support) for one in found.classes] == [(3, 4), (1, 2), (2, 2), (0, 0)]
    assert found.low < 0.75 < found.high
    assert found.as_dict()["accuracy_low"] == found.low


def test_a_class_that_was_found_without_being_there_counts_in_macro_f1() -> None:
    found = classification(np.array([0, 0]), np.array([0, 1]), classes=3)
    assert found.balanced_accuracy == 0.5 and found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert classification(np.empty(0, int), np.empty(0, int), 2).accuracy == 0


def test_intervals_stay_within_0_and_1_and_narrow_with_photos() -> None:
    assert wilson(0, 0) == (0, 1)
    low, high = wilson(10, 10)
    assert 0.7 < low < 0.73 and high == pytest.approx(1)
    assert wilson(95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-3)


def test_temperature_follows_how_sure_one_may_be() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 500)
    said = np.eye(3)[np.where(random.random(500) < 0.8, truth, random.integers(0, 3, 500))]
    too_sure, too_shy = 12 * said, 0.5 * said
    assert best_temperature(too_sure, truth) > 2 and best_temperature(too_shy, truth) < 0.5
    assert best_temperature(np.empty((0, 3)), np.empty(0, int)) == 1
    assert calibration_error(too_sure, truth) < 0.06      # at the other half's temperature
    assert np.allclose(probabilities(too_sure).sum(1), 1)
    assert log_loss(too_sure, truth, 6) < log_loss(too_sure, truth) and log_loss(said[:0], truth[:0]) == 0
