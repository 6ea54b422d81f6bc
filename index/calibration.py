"""Calibration of the decision, when an index is built, on its own photos.

Each photo is asked three times: with its product in the gallery, with the product taken out while its other colours
stay, and with its whole model taken out; as it is and disturbed as people photograph (`index/disturbed.py`), because
that is how the service is asked. How often people ask for shoes we do not have is not known: 20 % is assumed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from index.decision import Decision, Evidence, evidence_of
from index.evaluate import Queries, some
from index.gallery import Gallery
from vision.measures import expected_calibration_error

FEWEST_QUERIES, MOST_QUERIES = 20, 2000
FALSE_ACCEPTS = 0.05
PRESENT, SIBLINGS, STRANGER = "present", "siblings", "stranger"
SHARES = {PRESENT: 0.8, SIBLINGS: 0.1, STRANGER: 0.1}


def calibration_rows(gallery: Gallery) -> tuple[np.ndarray, str]:
    """The gallery rows to calibrate with, and what to call them: `held-out` where there are enough, else `all`."""
    held_out = np.flatnonzero(np.isin(gallery.sides, ("val", "unseen", "new")))
    if len(held_out) >= 2 * FEWEST_QUERIES:
        return some(held_out, MOST_QUERIES), "held-out"
    return some(np.arange(len(gallery.ids)), MOST_QUERIES), "all"


def fit_decision(gallery: Gallery, queries: Queries, fitted_on: str) -> Decision | None:
    """Fit on photos of the gallery itself; None if too few of their products have another photo."""
    cases = _cases(gallery, queries)
    asked = sum(case.kind == PRESENT for case in cases)
    return _fit(cases, fitted_on) if asked >= FEWEST_QUERIES and len(cases) > asked else None


@dataclass(frozen=True)
class _Case:
    """One example: the evidence, the product asked for, what was in the gallery, what came out right."""

    evidence: Evidence
    product: int
    kind: str
    product_right: bool
    model_right: bool


def _cases(gallery: Gallery, queries: Queries) -> list[_Case]:
    models = gallery.item_models
    cases = []
    for vector, row in zip(queries.vectors, queries.rows, strict=True):
        own, family = gallery.products == gallery.products[row], models == models[row]
        same_group = gallery.groups == gallery.groups[row]
        if not (own & ~same_group).any():
            continue
        scores = gallery.vectors @ vector
        hidden = {PRESENT: same_group, STRANGER: family | same_group}
        if (family & ~own).any():
            hidden[SIBLINGS] = own | same_group
        for kind, out in hidden.items():
            if out.all():
                continue
            products, best_scores, best_models = _rank(scores[~out], gallery.products[~out], models[~out])
            cases.append(_Case(evidence_of(best_scores, best_models), int(gallery.products[row]), kind,
                               bool(products[0] == gallery.products[row]), bool(best_models[0] == models[row])))
    return cases


def _rank(scores: np.ndarray, products: np.ndarray, models: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best distinct products: their ids, scores and models, best first."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(products[order], return_index=True)
    best = order[np.sort(first)][:50]
    return products[best], scores[best], models[best]


def _fit(cases: list[_Case], fitted_on: str) -> Decision:
    features = np.array([case.evidence.features() for case in cases])
    right = np.array([case.product_right for case in cases])
    kinds = np.array([case.kind for case in cases])
    weights = np.zeros(len(cases))
    for kind, share in SHARES.items():
        weights[kinds == kind] = share / max(1, (kinds == kind).sum())
    product = _logistic(features, right, weights)
    model = _logistic(features, np.array([case.model_right for case in cases]), weights)
    exact = _cross_fitted(features, right, weights, np.array([case.product for case in cases]))
    strange = kinds == STRANGER
    # The share of strange shoes taken for one of ours is held down, and never is even odds or worse called exact.
    exact_from = max(0.5, float(np.quantile(exact[strange], 1 - FALSE_ACCEPTS)) if strange.any() else 0.5)
    accepted = exact >= exact_from
    absent = [case.evidence.score for case in cases if case.kind == STRANGER]
    return Decision(
        tuple(map(float, product)), tuple(map(float, model)), exact_from, 0.5,
        float(np.median(absent)) if absent else 0.0, _share(accepted[(kinds == PRESENT) & right]),
        _share(accepted[strange]), _share(accepted[kinds == SIBLINGS]),
        expected_calibration_error(exact, right, weights), int((kinds == PRESENT).sum()), fitted_on)


def _cross_fitted(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, products: np.ndarray,
                  folds: int = 5) -> np.ndarray:
    """Return each example's probability (n,) by a model fitted on the other products."""
    fold = np.random.default_rng(0).integers(0, folds, products.max() + 1)[products]
    found = np.empty(len(labels))
    for number in np.unique(fold):
        asked = fold == number
        others = ~asked if (~asked).any() else asked
        fitted = _logistic(features[others], labels[others], weights[others])
        found[asked] = expit(np.column_stack([np.ones(asked.sum()), features[asked]]) @ fitted)
    return found


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _logistic(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return intercept and slopes (1 + f,) of a weighted ridge logistic regression of labels (n,) on (n, f)."""
    middle, spread = features.mean(0), features.std(0)
    spread = np.where(spread < 1e-3, 1.0, spread)  # a feature that never varies must not get a vast slope
    inputs = np.column_stack([np.ones(len(features)), (features - middle) / spread])
    signs = np.where(labels, 1.0, -1.0)
    shares = weights / weights.sum()

    def loss(slopes: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (inputs @ slopes)
        gradient = -(inputs * (shares * signs * expit(-margins))[:, None]).sum(0)
        penalty = np.append(0.0, slopes[1:]) * 1e-3
        return float((shares * np.logaddexp(0, -margins)).sum() + 0.5 * penalty @ slopes), gradient + penalty

    slopes = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return np.append(slopes[0] - (slopes[1:] * middle / spread).sum(), slopes[1:] / spread)
