"""The decision: how likely the best match is the very product, and what to call the answer."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from scipy.special import expit

EXACT, SAME_MODEL, SIMILAR, UNKNOWN = "exact", "same model, other colour", "similar", "unknown"
NEIGHBOURS = 10                       # the gallery's density is the mean score of the ranks 2 to 10
SAME_PHOTO, SAME_PHOTO_LEAD = 0.99, 0.01


@dataclass(frozen=True)
class Evidence:
    """What the decision looks at: the best score, its lead over the second product and over the next model, the
    density of the gallery around (mean score of the ranks 2 to 10), how far the best product's second photo leads the
    second product (None where it has only one), and the length of the colours in the query's vector: where they count
    for less, because the ground is not a studio's, scores mean something else.

    Not the number of photos behind it: leaving a query out lowers just that, and would give the answer away.
    """

    score: float
    lead: float
    model_lead: float
    density: float
    support: float | None
    colours: float = 0.0

    @property
    def same_photo(self) -> bool:
        """Whether the query is a photo of the gallery itself: so near, and so far ahead of all other products."""
        return self.score >= SAME_PHOTO and self.lead >= SAME_PHOTO_LEAD

    def features(self, gap: float) -> list[float]:
        """The inputs of the logistic models; a product's only photo is taken to have a second one `gap` below it."""
        return [self.score, self.lead, self.model_lead, self.density,
                self.lead - gap if self.support is None else self.support, self.colours]


@dataclass(frozen=True)
class Decision:
    """Two logistic models (product right? model right?), their thresholds, and the score below which nothing is alike.

    Measured when it was fitted, each shoe model by slopes and thresholds fitted on others: the share of right answers
    called exact (`true_accepts`), of shoes we do not have whose model we do not have either (`false_accepts`), and of
    those we have in another colour (`false_accepts_siblings`); of the former, the shares called another colour of a
    model we have (`false_models`) and `unknowns`, the rest being similar; of the latter, the share called so
    (`siblings_named`). `calibration_error` is the confidence's expected calibration error and `queries` the photos
    asked. `fitted_on` is `unseen` (products the network never trained on), `held-out` (photos it never trained on) or
    `all`, which flatters it. `gap` is how much the second photo of a right product usually lies below its first.
    """

    product: tuple[float, ...]
    model: tuple[float, ...]
    exact_from: float
    model_from: float
    similar_from: float
    true_accepts: float
    false_accepts: float
    false_accepts_siblings: float
    calibration_error: float
    queries: int
    fitted_on: str
    gap: float = 0.0
    false_models: float | None = None
    unknowns: float | None = None
    siblings_named: float | None = None

    def decide(self, evidence: Evidence) -> tuple[str, float]:
        """Return the verdict and the probability that the best match is the very product."""
        values = np.array([1.0, *evidence.features(self.gap)])
        # An index of a former version was fitted on the first three or five features alone.
        exact = float(expit(values[:len(self.product)] @ self.product))
        model = float(expit(values[:len(self.model)] @ self.model))
        if evidence.same_photo:
            exact = max(exact, self.exact_from)
        if exact >= self.exact_from:
            return EXACT, exact
        if model >= self.model_from:
            return SAME_MODEL, exact
        return (SIMILAR if evidence.score >= self.similar_from else UNKNOWN), exact

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return asdict(self)

    def __str__(self) -> str:
        """What was measured, as a sentence."""
        strangers = "" if self.false_models is None or self.unknowns is None else (
            f" ({self.false_models:.1%} of those another colour of a model that is, {self.unknowns:.1%} unknown, the "
            "rest similar)")
        return (f"calibrated on {self.queries} {self.fitted_on} queries: {self.true_accepts:.1%} of right answers are "
                f"called exact, {self.false_accepts:.1%} of shoes that are not here{strangers}, "
                f"{self.false_accepts_siblings:.1%} "
                f"of those that are here in another colour; expected calibration error {self.calibration_error:.3f}")


def read_decision(raw: dict[str, Any] | None) -> Decision | None:
    """The decision of a manifest, of a former version too; None where the index was too small to fit one."""
    if raw is None:
        return None
    known = {name: raw[name] for name in (column.name for column in fields(Decision)) if name in raw}
    return Decision(**{**known, "product": tuple(raw["product"]), "model": tuple(raw["model"])})


def evidence_of(scores: np.ndarray, models: np.ndarray, own: np.ndarray, colours: float) -> Evidence:
    """Evidence from one query's ranked distinct products, scores and models (m,), best first, from the scores (o,) of
    the best product's own photos, and from the length of the query's colours."""
    others = scores[models != models[0]]
    second = float(scores[1]) if len(scores) > 1 else -1.0
    return Evidence(float(scores[0]), float(scores[0]) - second, float(scores[0] - others[0]) if len(others)
                    else float(scores[0] + 1), float(scores[1:NEIGHBOURS].mean()) if len(scores) > 1 else -1.0,
                    float(np.sort(own)[-2]) - second if len(own) > 1 else None, colours)


def colour_length(vector: np.ndarray, colours: int) -> float:
    """The length of the last `colours` numbers of a query's vector (d,), see `NetworkCard.colours`; 0 without any."""
    return float(np.linalg.norm(vector[-colours:])) if colours else 0.0
