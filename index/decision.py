"""The calibrated decision: how likely the best match is right, and what to call the answer.

Fitted when an index is built, on its own photos: each is asked once with its product in the gallery and once with it
taken out, so that both a right answer and a shoe we do not have are among the examples; and once as it is and once
disturbed as people photograph (`index/disturbed.py`), because that is how the service is asked.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from index.evaluate import some
from index.gallery import Gallery
from vision.measures import expected_calibration_error

EXACT, SAME_MODEL, SIMILAR, UNKNOWN = "exact", "same model, other colour", "similar", "unknown"
FEWEST_QUERIES, MOST_QUERIES = 20, 2000
FALSE_ACCEPTS = 0.05


@dataclass(frozen=True)
class Evidence:
    """What the decision looks at: the best score, and its lead over the second product and over the next model.

    Not the number of photos behind it: leaving a query out lowers just that, and would give the answer away.
    """

    score: float
    lead: float
    model_lead: float

    def features(self) -> list[float]:
        """The inputs of the logistic models."""
        return [self.score, self.lead, self.model_lead]


@dataclass(frozen=True)
class Decision:
    """Two logistic models (product right? model right?), their thresholds, and the score below which nothing is alike.

    `false_accepts`, `true_accepts` and `calibration_error` (expected calibration error of the confidence) are measured
    on the `queries` it was fitted with, but each product by models fitted on other products. `fitted_on` is `held-out`
    (photos the network never trained on) or `all`, which flatters it.
    """

    product: tuple[float, ...]
    model: tuple[float, ...]
    exact_from: float
    model_from: float
    similar_from: float
    false_accepts: float
    true_accepts: float
    calibration_error: float
    queries: int
    fitted_on: str

    def decide(self, evidence: Evidence) -> tuple[str, float]:
        """Return the verdict and the probability that the best match is the very product."""
        values = np.array([1.0, *evidence.features()])
        exact, model = float(expit(values @ self.product)), float(expit(values @ self.model))
        if exact >= self.exact_from:
            return EXACT, exact
        if model >= self.model_from:
            return SAME_MODEL, exact
        return (SIMILAR if evidence.score >= self.similar_from else UNKNOWN), exact

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return asdict(self)


def read_decision(raw: dict[str, Any] | None) -> Decision | None:
    """The decision of a manifest; None where the index was too small to fit one."""
    return None if raw is None else Decision(**{**raw, "product": tuple(raw["product"]), "model": tuple(raw["model"])})


def evidence_of(scores: np.ndarray, models: np.ndarray) -> Evidence:
    """Evidence from one query's ranked distinct products: scores and models (m,), best first."""
    others = scores[models != models[0]]
    return Evidence(float(scores[0]), float(scores[0] - scores[1]) if len(scores) > 1 else float(scores[0] + 1),
                    float(scores[0] - others[0]) if len(others) else float(scores[0] + 1))


@dataclass(frozen=True)
class Queries:
    """Photos of the gallery asked again, as they are or disturbed: unit vectors (q, d), and gallery rows (q,)."""

    vectors: np.ndarray
    rows: np.ndarray

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.rows):
            raise ValueError("as many query vectors as gallery rows")


def calibration_rows(gallery: Gallery) -> tuple[np.ndarray, str]:
    """The gallery rows to calibrate with, and what to call them: `held-out` where there are enough, else `all`."""
    held_out = np.flatnonzero(np.isin(gallery.sides, ("val", "unseen", "new")))
    if len(held_out) >= 2 * FEWEST_QUERIES:
        return some(held_out, MOST_QUERIES), "held-out"
    return some(np.arange(len(gallery.ids)), MOST_QUERIES), "all"


def fit_decision(gallery: Gallery, queries: Queries, fitted_on: str) -> Decision | None:
    """Fit on photos of the gallery itself; None if too few of their products have another photo."""
    cases = _cases(gallery, queries)
    return _fit(cases, fitted_on) if len(cases) >= 2 * FEWEST_QUERIES else None


@dataclass(frozen=True)
class _Case:
    """One example: the evidence, its product, whether that is in the gallery, whether product and model are right."""

    evidence: Evidence
    product: int
    present: bool
    product_right: bool
    model_right: bool


def _cases(gallery: Gallery, queries: Queries) -> list[_Case]:
    models = gallery.item_models
    cases = []
    for vector, row in zip(queries.vectors, queries.rows, strict=True):
        own = gallery.products == gallery.products[row]
        same_group = gallery.groups == gallery.groups[row]
        if not (own & ~same_group).any():
            continue
        scores = gallery.vectors @ vector
        for present in (True, False):
            visible = ~(same_group if present else own)
            found = _rank(scores[visible], gallery.products[visible], models[visible])
            if found is None:
                continue
            best_products, best_scores, best_models = found
            cases.append(_Case(evidence_of(best_scores, best_models), int(gallery.products[row]), present,
                               bool(present and best_products[0] == gallery.products[row]),
                               bool(best_models[0] == models[row])))
    return cases


def _rank(scores: np.ndarray, products: np.ndarray, models: np.ndarray) -> tuple[np.ndarray, ...] | None:
    if not len(scores):
        return None
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(products[order], return_index=True)
    best = order[np.sort(first)][:50]
    return products[best], scores[best], models[best]


def _fit(cases: list[_Case], fitted_on: str) -> Decision:
    features = np.array([case.evidence.features() for case in cases])
    present = np.array([case.present for case in cases])
    right = np.array([case.product_right for case in cases])
    product = _logistic(features, right)
    model = _logistic(features, np.array([case.model_right for case in cases]))
    exact = _cross_fitted(features, right, np.array([case.product for case in cases]))
    # The share of absent shoes taken for one of ours is held down, and never at even odds or worse.
    exact_from = max(0.5, float(np.quantile(exact[~present], 1 - FALSE_ACCEPTS))) if (~present).any() else 0.5
    absent = [case.evidence.score for case in cases if not case.present]
    return Decision(tuple(map(float, product)), tuple(map(float, model)), exact_from, 0.5,
                    float(np.median(absent)) if absent else 0.0, _share(exact[~present] >= exact_from),
                    _share(exact[present & right] >= exact_from), expected_calibration_error(exact, right),
                    int(present.sum()), fitted_on)


def _cross_fitted(features: np.ndarray, labels: np.ndarray, products: np.ndarray, folds: int = 5) -> np.ndarray:
    """Return each example's probability (n,) by a model fitted on the other products."""
    fold = np.random.default_rng(0).integers(0, folds, products.max() + 1)[products]
    found = np.empty(len(labels))
    for number in np.unique(fold):
        asked = fold == number
        weights = _logistic(features[~asked], labels[~asked]) if not asked.all() else _logistic(features, labels)
        found[asked] = expit(np.column_stack([np.ones(asked.sum()), features[asked]]) @ weights)
    return found


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _logistic(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return intercept and weights (1 + f,) of a ridge logistic regression of labels (n,) on features (n, f)."""
    middle, spread = features.mean(0), features.std(0)
    spread = np.where(spread < 1e-3, 1.0, spread)  # a feature that never varies must not get a vast weight
    inputs = np.column_stack([np.ones(len(features)), (features - middle) / spread])
    signs = np.where(labels, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (inputs @ weights)
        gradient = -(inputs * (signs * expit(-margins))[:, None]).mean(0)
        penalty = np.append(0.0, weights[1:]) * 1e-2
        return float(np.logaddexp(0, -margins).mean() + 0.5 * penalty @ weights), gradient + penalty

    weights = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return np.append(weights[0] - (weights[1:] * middle / spread).sum(), weights[1:] / spread)
