"""`task compare`: a grid of recipes trained one after the other, in one table, with a linear probe as the baseline."""

import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.releases import Releases
from training.compare import markdown, setting
from training.drawings import save_drawing
from training.fitting import Plan, fit_rows, measures_of, overfitting, packed_photos
from training.loop import NOBODY, Watch
from training.parallel import Team
from training.task_data import TaskData
from vision.classification import wilson

# The trunk as it starts, untouched, and softmax regression on what it sees: what every fine-tuning must beat.
PROBE: dict[str, Any] = {"probe": 40, "renditions": 2, "epochs": 1, "trunk_lr": 0.0, "freeze_norms": True,
                         "size_from": 0, "train_size": 0, "lr": 1e-6, "warmup": 0.0, "frozen": 0, "patience": 0,
                         "keep": "last", "mixup": 0.0, "cutmix": 0.0}
HEAD = ("Model", "Hyper-parameters", "Epochs (saved)", "Accuracy train/val", "F1", "Val loss", "#Params", "img/s")


@dataclass(frozen=True)
class Cell:
    """One row to come: its name and the `name=value` words in which it differs from the task's recipe. Of a `probe` no
    pace is told: its epochs are computed on what the trunk saw once."""

    name: str
    changes: tuple[str, ...] = ()
    probe: bool = False


@dataclass(frozen=True)
class Row:
    """One row: the cell, and the measures of its trainings, one a seed."""

    cell: Cell
    backbone: str
    measures: tuple[Mapping[str, Any], ...]

    def mean(self, name: str) -> float:
        """Mean of a measure over the seeds."""
        return float(np.mean([one[name] for one in self.measures]))

    def sd(self, name: str) -> float:
        """Sample standard deviation of a measure over the seeds; 0 for one."""
        return float(np.std([one[name] for one in self.measures], ddof=1)) if len(self.measures) > 1 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The row under the names that are printed as JSON."""
        names = ("accuracy", "balanced_accuracy", "macro_f1", "val_loss", "train_accuracy", "photos_per_s", "seconds")
        low, high = self.interval
        return {"name": self.cell.name, "backbone": self.backbone, "changes": list(self.cell.changes),
                "seeds": [dict(one) for one in self.measures], "accuracy_low": low, "accuracy_high": high,
                **{name: self.mean(name) for name in names}, **{f"{name}_sd": self.sd(name) for name in names},
                "parameters": self.measures[0]["parameters"]}

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean accuracy by the number of held-out photos."""
        photos = int(self.measures[0]["photos"])
        return wilson(round(self.mean("accuracy") * photos), photos)


def read_grid(path: Path | None, vary: Sequence[str]) -> list[Cell]:
    """The cells of a file (`[vary]` tables of lists, multiplied; `[[cells]]`, each with its own settings and perhaps a
    `name`) and of `name=a,b` words, multiplied with each other."""
    cells: list[Cell] = []
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
            for one in raw.get("cells", []):
                changes = tuple(f"{name}={value}" for name, value in one.items() if name != "name")
                cells.append(Cell(str(one.get("name", "")), changes))
            cells += _product([(name, [str(value) for value in values])
                               for name, values in raw.get("vary", {}).items()])
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
            raise BadInput(f"the grid {path} cannot be read ({error}); it holds [vary] with lists, or [[cells]]") \
                from error
    lists = []
    for word in vary:
        name, equals, values = word.partition("=")
        if not equals or not values:
            raise BadInput(f"--vary is written name=a,b,c, not {word!r}")
        lists.append((name, values.split(",")))
    cells += _product(lists)
    if not cells:
        raise BadInput("there is nothing to compare; say --vary name=a,b or --grid FILE")
    return cells


def _product(lists: Sequence[tuple[str, Sequence[str]]]) -> list[Cell]:
    if not lists:
        return []
    return [Cell("", tuple(f"{name}={value}" for (name, _), value in zip(lists, chosen, strict=True)))
            for chosen in itertools.product(*(values for _, values in lists))]


def baseline(plan: Plan) -> Plan:
    """The linear probe on the trunk that a plan starts from."""
    return replace(plan, recipe=replace(plan.recipe, **PROBE), multiply=())


def train_cell(cell: Cell, plan: Plan, data: TaskData, seeds: int, runs: Path, device: str, releases: Releases,
               watch: Watch = NOBODY) -> Row:
    """Train a cell once with every seed; trainings that are done are not done again."""
    measures, team = [], Team(torch.device(device))
    for seed in range(plan.recipe.seed, plan.recipe.seed + seeds):
        one = replace(plan, recipe=replace(plan.recipe, seed=seed))
        run = runs / f"cell-{plan.task.name}-{data.digest}-{one.digest}"
        with lock(run / "run.lock", "this training"):
            if not (run / "measures.json").is_file():
                packed = packed_photos(data, one.recipe, runs, watch.packed)
                fitted = fit_rows(one, data, packed, data.rows("train"), data.rows("val"), run, team, releases, watch)
                write_file(run / "measures.json", json.dumps(measures_of(one, data, fitted)).encode())
                (run / "checkpoint.pt").unlink(missing_ok=True)
            measures.append(json.loads((run / "measures.json").read_text(encoding="utf-8")))
    return Row(cell, plan.recipe.backbone, tuple(measures))


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    return markdown(HEAD, [[
        row.cell.name or row.backbone,
        ", ".join(word.replace("=", " ") for word in row.cell.changes if not word.startswith("backbone=")) or "–",
        f"{PROBE['probe']} of the head" if row.cell.probe else
        f"{_several(row, 'epochs')} ({_several(row, 'saved_epoch')})",
        f"{row.mean('train_accuracy'):.3f} / {_spread(row, 'accuracy')} "
        f"[{row.interval[0]:.3f}, {row.interval[1]:.3f}]{' overfits' if overfitting(_typical(row)) else ''}",
        _spread(row, "macro_f1"), _spread(row, "val_loss"), f"{row.measures[0]['parameters']:,}",
        # The fastest seed's: what else a machine does only ever slows one down.
        "–" if row.cell.probe else f"{max(one['photos_per_s'] for one in row.measures):.0f}"] for row in rows], 2)


def _typical(row: Row) -> dict[str, Any]:
    return {name: row.mean(name) for name in ("train_accuracy", "accuracy", "accuracy_high")}


def _spread(row: Row, name: str) -> str:
    return f"{row.mean(name):.3f}" + (f" ± {row.sd(name):.3f}" if len(row.measures) > 1 else "")


def _several(row: Row, name: str) -> str:
    return "/".join(dict.fromkeys(setting(one[name]) for one in row.measures))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw accuracy and macro F1 of every row with its spread, and what the training cost, as a picture at `path`."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 1.6 + 0.45 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for name, mark in (("train_accuracy", "x"), ("accuracy", "o"), ("macro_f1", "^")):
        left.errorbar([row.mean(name) for row in rows], range(len(rows)), xerr=[row.sd(name) for row in rows], fmt=mark,
                      capsize=3, label={"accuracy": "held-out accuracy"}.get(name, name.replace("_", " ")))
    for at, row in enumerate(rows):
        left.plot(row.interval, (at, at), "-", color="tab:gray", alpha=0.6, linewidth=1)
    words = [" ".join([row.cell.name or row.backbone, *row.cell.changes])[:60] for row in rows]
    left.set(yticks=range(len(rows)), yticklabels=words, xlabel="share right")
    left.invert_yaxis()
    left.grid(alpha=0.3)
    left.legend(fontsize=8)
    right.barh(range(len(rows)), [row.mean("seconds") / 60 for row in rows])
    right.set(xlabel="minutes")
    save_drawing(figure, path)
