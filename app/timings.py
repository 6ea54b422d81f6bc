"""How long the parts of an answer took, as they are told."""

import time


def ms_between(began: float, ended: float | None = None) -> float:
    """Milliseconds from one reading of `time.perf_counter` to another, or to now."""
    return round(1e3 * ((time.perf_counter() if ended is None else ended) - began), 3)


def of_request(began: float, received: float) -> dict[str, float]:
    """What a request took to come in, and altogether."""
    return {"receive": ms_between(began, received), "total": ms_between(began)}
