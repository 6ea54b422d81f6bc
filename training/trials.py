"""What a search for settings came to: a table of its trials, a plot, and the best settings as a recipe file."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from optuna.trial import FrozenTrial, TrialState

from training.compare import figure, markdown, setting
from training.drawings import save_drawing
from training.recipes import Recipe
from training.space import Space
from training.tune import why

STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
          TrialState.RUNNING: "unfinished", TrialState.WAITING: "unfinished"}
TITLES = {"unseen_recall1": "recall@1 unseen", "val_recall1": "recall@1 val"}


def objective(found: Sequence[FrozenTrial]) -> str:
    """What the trials were measured by."""
    return next((str(trial.user_attrs["objective"]) for trial in found if "objective" in trial.user_attrs),
                "unseen_recall1")


def records(found: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """The trials as plain values, the best first: complete ones by what they measured, then the others in order."""
    order = sorted(found, key=lambda trial: (trial.state != TrialState.COMPLETE,
                                             -(trial.value or 0.0) if trial.state == TrialState.COMPLETE else 0.0,
                                             trial.number))
    return [{"trial": trial.number, "state": STATES[trial.state], "value": _reached(trial),
             "settings": dict(trial.params), "epochs": trial.last_step or 0,
             "seconds": trial.user_attrs.get("seconds"), "why": why(trial)} for trial in order]


def table(found: Sequence[FrozenTrial], space: Space) -> str:
    """The trials as a Markdown table, the best first."""
    head = ["trial", "state", *space, TITLES[objective(found)], "epochs", "seconds"]
    rows = [[str(row["trial"]), f"{row['state']}: {row['why']}" if row["why"] else row["state"],
             *(setting(row["settings"].get(name)) for name in space), figure(row["value"], "{:.3f}"),
             str(row["epochs"]), figure(row["seconds"], "{:.0f}")] for row in records(found)]
    return markdown(head, rows, left=2 + len(space))


def draw(found: Sequence[FrozenTrial], path: Path) -> None:
    """Draw what the trials measured, epoch by epoch and one after another, as a picture at `path`."""
    from matplotlib.figure import Figure
    canvas = Figure(figsize=(11, 4), layout="constrained")
    left, right = canvas.subplots(1, 2)
    for trial in found:
        steps = sorted(trial.intermediate_values)
        complete = trial.state == TrialState.COMPLETE
        left.plot(steps, [trial.intermediate_values[step] for step in steps], color=None if complete else "lightgrey",
                  marker="." if len(steps) == 1 else None, label=f"trial {trial.number}" if complete else None)
    left.set(xlabel="epoch", ylabel=TITLES[objective(found)])
    done = [trial for trial in found if trial.state == TrialState.COMPLETE]
    if done:
        left.legend(fontsize=7, ncols=2)
        numbers, values = [trial.number for trial in done], [trial.value or 0.0 for trial in done]
        right.plot(numbers, values, "o", label="trial")
        right.step(numbers, [max(values[:at + 1]) for at in range(len(values))], where="post", label="best so far")
        right.legend(fontsize=8)
    right.set(xlabel="trial")
    save_drawing(canvas, path)


def recipe_text(best: FrozenTrial, recipe: Recipe, found: Sequence[FrozenTrial]) -> str:
    """The best trial's settings, with all else that the recipe has changed, as the text of a recipe file."""
    stated = {name: value for name, value in asdict(recipe).items()
              if name in best.params or value != getattr(Recipe(), name)} | best.params
    ended = sum(trial.state.is_finished() for trial in found)
    return (f"# The best of {ended} trials: number {best.number}, {TITLES[objective(found)]} {best.value:.3f} after "
            f"{best.last_step} epochs.\n" + tomli_w.dumps(stated))


def _reached(trial: FrozenTrial) -> float | None:
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return None if trial.last_step is None else trial.intermediate_values[trial.last_step]
