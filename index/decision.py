"""The decision: how likely the best match is the very product, and what to call the answer."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit

EXACT, SAME_MODEL, SIMILAR, UNKNOWN = "exact", "same model, other colour", "similar", "unknown"


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

    Measured when it was fitted, each product by models fitted on other products: at the exact threshold the share of
    right answers accepted (`true_accepts`), of shoes we do not have whose model we do not have either
    (`false_accepts`), and of those we have in another colour (`false_accepts_siblings`); `calibration_error` is the
    confidence's expected calibration error. `fitted_on` is `held-out` (photos the network never trained on) or `all`,
    which flatters it.
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
