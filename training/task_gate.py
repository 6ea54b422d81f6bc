"""The gate before a task goes live: what its release measured of itself beside what the live one did."""

from collections.abc import Mapping
from typing import Any

from catalogue.errors import GateRefused

MARGIN = 0.01
WORDS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
Manifest = Mapping[str, Any]


def check_first(candidate: Manifest) -> list[str]:
    """Compare the first release of a task with always answering the most frequent class; lines that say what was
    found. `GateRefused` unless it does better.

    Who always answers one of k classes has a balanced accuracy of 1/k, however rare the others are.
    """
    measures, classes = candidate.get("measures", {}), len(candidate.get("classes", ()))
    found = _number(measures, "balanced_accuracy")
    if found is None or classes < 2:
        return ["its release tells no balanced accuracy: nothing was measured"]
    said = f"balanced accuracy {found:.3f}, always answering the most frequent class {1 / classes:.3f}"
    if found <= 1 / classes + MARGIN:
        raise GateRefused(f"{said}: it learned nothing that helps; check the labels and train again, or promote with "
                          "--force")
    return [said]


def check_next(candidate: Manifest, live: Manifest) -> list[str]:
    """Compare a candidate's measures with those of the live release of the same task; lines that say what was found.
    `GateRefused` for a loss beyond one point, and beyond one photo, of accuracy or balanced accuracy.

    Measures of different photos cannot be compared; then that is what the line says, and the candidate must do what a
    first release must.
    """
    if not candidate.get("data") or candidate.get("data") != live.get("data"):
        return ["it was not measured on the photos that the live one was measured on: nothing could be compared",
                *check_first(candidate)]
    ours, theirs, lines = candidate.get("measures", {}), live.get("measures", {}), []
    for name, word in WORDS.items():
        mine, yours = _number(ours, name), _number(theirs, name)
        if mine is None or yours is None:
            lines.append(f"{word} was not measured of both: it could not be compared")
            continue
        said = f"{word} {mine:.3f}{_interval(ours, name)}, live {yours:.3f}{_interval(theirs, name)}"
        lost = yours - mine
        if lost > MARGIN + 1e-9 and lost > 1.5 * _one_photo(candidate, name):
            raise GateRefused(f"the candidate loses {100 * lost:.1f} points ({said}; allowed is "
                              f"{100 * MARGIN:.0f}); train again, or promote with --force")
        lines.append(said)
    return lines


def _one_photo(manifest: Manifest, measure: str) -> float:
    """What one photo more or less counts for in a measure, at most."""
    supports = [float(one["support"]) for one in manifest.get("per_class", {}).values() if one.get("support")]
    if measure == "balanced_accuracy" and supports:
        return 1 / (len(supports) * min(supports))
    return 1 / float(manifest.get("measures", {}).get("photos") or 1e9)


def _number(measures: Mapping[str, Any], name: str) -> float | None:
    found = measures.get(name)
    return float(found) if isinstance(found, int | float) else None


def _interval(measures: Mapping[str, Any], name: str) -> str:
    low, high = (_number(measures, f"{name}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
