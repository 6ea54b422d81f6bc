"""Calibration of the decision, when an index is built, on its own photos.

Each photo is asked three times: with its product in the gallery, with the product taken out while its other colours
stay, and with its whole model taken out; as it is and disturbed as people photograph (`index/disturbed.py`), because
that is how the service is asked. How often people ask for shoes we do not have is not known: 20 % is assumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from index.decision import Decision, Evidence, colour_length, evidence_of
from index.evaluate import Queries, held_out_photos, unseen_products
from index.gallery import Gallery
from vision.measures import askable, expected_calibration_error, some

FEWEST_QUERIES, MOST_QUERIES = 20, 2000
# Fitted a little below what is wanted (5 % and 12 %), so as to keep it on products that were not fitted on.
FALSE_ACCEPTS, SIBLING_ACCEPTS = 0.04, 0.10
NEAREST = 1000  # items that are looked at: more than ten products' photos
PRESENT, SIBLINGS, STRANGER = "present", "siblings", "stranger"
# Of shoes we have neither in this nor in another colour, so many may be called another colour of ours. A lower bound
# costs more of those that are: on the demo's 16 models at 0.05 none of them is called so.
STRANGERS_ALONE = {STRANGER: 0.2}
SHARES = {PRESENT: 0.8, SIBLINGS: 0.1, STRANGER: 0.1}


def calibration_rows(gallery: Gallery) -> tuple[np.ndarray, str]:
    """The gallery rows to calibrate with, and what to call them: `unseen` (products training never saw) where there are
    enough that have another photo, else `held-out` photos, else `all`."""
    can = askable(gallery.products, gallery.groups)
    held_out = held_out_photos(gallery)
    for name, chosen in (("unseen", unseen_products(gallery)), ("held-out", held_out)):
        if (chosen & can).sum() >= 5 * FEWEST_QUERIES:
            return some(np.flatnonzero(chosen & can), MOST_QUERIES), name
    if (held_out & can).sum() >= 2 * FEWEST_QUERIES:
        return some(np.flatnonzero(held_out & can), MOST_QUERIES), "held-out"
    return some(np.flatnonzero(can), MOST_QUERIES), "all"


def fit_decision(gallery: Gallery, looks: Sequence[Queries], fitted_on: str, colours: int = 0) -> Decision | None:
    """Fit on photos of the gallery itself, asked in one or several looks; None if too few of their products have
    another photo, or all are of one model, so that nothing can be asked for that is not here.

    `colours` is that of the network's card.
    """
    cases = [case for look, queries in enumerate(looks) for case in cases_of(gallery, queries, look, colours)]
    asked = sum(case.kind == PRESENT and case.look == 0 for case in cases)
    strange = any(case.kind == STRANGER for case in cases)
    return fit(cases, fitted_on) if asked >= FEWEST_QUERIES and strange else None


@dataclass(frozen=True)
class Ranked:
    """One query's best distinct products: ids, scores and models, best first, the scores of the first's photos, and the
    length of the query's colours."""

    products: np.ndarray
    scores: np.ndarray
    models: np.ndarray
    own: np.ndarray
    colours: float

    def evidence(self) -> Evidence:
        """What the decision looks at."""
        return evidence_of(self.scores, self.models, self.own, self.colours)


@dataclass(frozen=True)
class Case:
    """One example: what was found, the product and the model asked for, what was in the gallery, and how the photo
    looked (`Queries` of one fit are of one look)."""

    ranked: Ranked
    product: int
    model: int
    kind: str
    look: int = 0

    @property
    def product_right(self) -> bool:
        """Whether the best product is the one asked for."""
        return bool(self.ranked.products[0] == self.product)

    @property
    def model_right(self) -> bool:
        """Whether the best product is of the model asked for."""
        return bool(self.ranked.models[0] == self.model)

    @property
    def gap(self) -> float | None:
        """How far the best product's second photo lies below its first; None where it has only one."""
        return float(np.sort(self.ranked.own)[-1] - np.sort(self.ranked.own)[-2]) if len(self.ranked.own) > 1 else None


def cases_of(gallery: Gallery, queries: Queries, look: int = 0, colours: int = 0) -> list[Case]:
    """Ask the gallery each photo three times; those without another photo of their product are left out."""
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
        length = colour_length(vector, colours)
        cases += [Case(rank_products(np.where(out, -np.inf, scores), gallery.products, models, length),
                       int(gallery.products[row]), int(models[row]), kind, look)
                  for kind, out in hidden.items() if not out.all()]
    return cases


def rank_products(scores: np.ndarray, products: np.ndarray, models: np.ndarray, colours: float) -> Ranked:
    """Rank the products (n,) of a gallery's items by a query's scores (n,), -inf where hidden, with models (n,);
    `colours` is the length of the query's."""
    near = np.argpartition(-scores, NEAREST)[:NEAREST] if len(scores) > NEAREST else np.arange(len(scores))
    order = near[np.lexsort((near, -scores[near]))]
    order = order[np.isfinite(scores[order])]
    _, first = np.unique(products[order], return_index=True)
    best = order[np.sort(first)][:50]
    own = scores[products == products[best[0]]]
    return Ranked(products[best], scores[best], models[best], own[np.isfinite(own)], colours)


def fit(cases: Sequence[Case], fitted_on: str) -> Decision:
    """Fit both models and choose the thresholds."""
    gaps = [case.gap for case in cases if case.product_right and case.gap is not None]
    gap = float(np.median(gaps)) if gaps else 0.0
    seen = [case.ranked.evidence() for case in cases]
    features = np.array([evidence.features(gap) for evidence in seen])
    right = np.array([case.product_right for case in cases])
    kinds = np.array([case.kind for case in cases])
    looks = np.array([case.look for case in cases])
    weights = assumed_weights(kinds)
    product = _logistic(features, right, weights)
    model_right = np.array([case.model_right for case in cases])
    model = _logistic(features, model_right, weights)
    fold = _folds(np.array([case.model for case in cases]))
    exact, related = (_by_others(features, labels, weights, fold) for labels in (right, model_right))
    bounds = {STRANGER: FALSE_ACCEPTS}
    if ((kinds == SIBLINGS) & (looks == 0)).sum() >= FEWEST_QUERIES:  # the greatest of a few says too little
        bounds[SIBLINGS] = SIBLING_ACCEPTS
    # Measured by thresholds that others chose: the share that a threshold was chosen for is no measurement.
    accepted = np.array([evidence.same_photo for evidence in seen])
    named = np.zeros(len(cases), bool)
    for asked, others in fold:
        accepted[asked] |= exact[asked] >= _sure_from(exact[others], kinds[others], looks[others], bounds)
        named[asked] = related[asked] >= _sure_from(related[others], kinds[others], looks[others], STRANGERS_ALONE)
    named &= ~accepted
    strange, siblings = kinds == STRANGER, kinds == SIBLINGS
    scores = np.array([case.ranked.scores[0] for case in cases])
    similar_from = float(np.median(scores[strange])) if strange.any() else 0.0
    return Decision(
        tuple(map(float, product)), tuple(map(float, model)), _sure_from(exact, kinds, looks, bounds),
        _sure_from(related, kinds, looks, STRANGERS_ALONE), similar_from, _share(accepted[(kinds == PRESENT) & right]),
        _share(accepted[strange]), _share(accepted[siblings]), expected_calibration_error(exact, right, weights),
        int(((kinds == PRESENT) & (looks == 0)).sum()), fitted_on, gap, _share(named[strange]),
        _share((~accepted & ~named & (scores < similar_from))[strange]), _share(named[siblings]))


def _by_others(features: np.ndarray, labels: np.ndarray, weights: np.ndarray,
               folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The probability of each example (n,), by slopes fitted on other models' examples."""
    found = np.empty(len(labels))
    for asked, others in folds:
        slopes = _logistic(features[others], labels[others], weights[others])
        found[asked] = expit(np.column_stack([np.ones(asked.sum()), features[asked]]) @ slopes)
    return found


def _sure_from(chance: np.ndarray, kinds: np.ndarray, looks: np.ndarray, bounds: Mapping[str, float]) -> float:
    """The probability from which on an answer is believed, never even odds or worse.

    The share of each of the kinds in `bounds` of which that would be wrong is held down in every look, for nobody knows
    how many photos will be of which.
    """
    absent = [(chance[(kinds == kind) & (looks == look)], share) for look in np.unique(looks)
              for kind, share in bounds.items()]
    return max([0.5, *(float(np.quantile(found, 1 - share)) for found, share in absent if len(found))])


def assumed_weights(kinds: np.ndarray) -> np.ndarray:
    """Return weights (n,) by which examples of these kinds count as often as people are assumed to ask for them."""
    weights = np.zeros(len(kinds))
    for kind, share in SHARES.items():
        weights[kinds == kind] = share / max(1, (kinds == kind).sum())
    return weights


def _folds(models: np.ndarray, number: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of masks (n,): examples to be judged, and those of other models to judge them by."""
    _, numbers = np.unique(models, return_inverse=True)
    fold = np.random.default_rng(0).integers(0, number, len(models))[numbers]
    return [(asked, ~asked if (~asked).any() else asked) for asked in (fold == at for at in np.unique(fold))]


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
