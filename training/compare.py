"""What several trainings came to, side by side: one table and one plot, from the cards of their releases alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalogue.errors import BadInput
from catalogue.releases import Published
from training.drawings import save_drawing
from training.recipes import Recipe
from vision.saved import NetworkCard, read_card

NONE = "–"
# Measure on the card → (heading, how it is written).
MEASURES: dict[str, tuple[str, str]] = {
    "train_top1": ("train top-1", "{:.3f}"), "val_top1": ("val top-1", "{:.3f}"), "val_top5": ("val top-5", "{:.3f}"),
    "val_recall1": ("recall@1 val", "{:.3f}"), "unseen_recall1": ("recall@1 unseen", "{:.3f}"),
    "loss": ("loss", "{:.3f}"), "parameters": ("parameters", "{:,.0f}"), "photos_per_s": ("img/s", "{:.0f}"),
    "seconds": ("seconds", "{:.0f}"),
}
# Settings that have columns of their own.
_APART = ("backbone", "epochs")


@dataclass(frozen=True)
class Run:
    """One training: its release, the recipe as it was (settings younger than it at their defaults), its measures."""

    release: str
    snapshot: str
    recipe: Mapping[str, Any]
    measures: Mapping[str, Any]

    @property
    def epochs(self) -> str:
        """How many epochs were run, and in brackets the one that was kept."""
        run = self.measures.get("epochs", self.recipe.get("epochs"))
        kept = self.measures.get("saved_epoch")
        return f"{NONE if run is None else run} ({NONE if kept is None else kept})"


def run_of(release: Published) -> Run:
    """Read a network release's card; `BadInput` if the release is no network."""
    if release.kind != "network":
        raise BadInput(f"{release.name} is of kind {release.kind}; what is compared are network releases")
    return _run(release.name, read_card(release.folder))


def _run(name: str, card: NetworkCard) -> Run:
    backbone = {key: value for key, value in card.architecture.items() if key == "backbone"}
    return Run(name, card.snapshot, {**asdict(Recipe()), **backbone, **card.recipe}, card.measures)


def differing(runs: Sequence[Run]) -> list[str]:
    """The settings in which the runs are not all alike, in the recipe's order."""
    names = list(dict.fromkeys(name for run in runs for name in run.recipe if name not in _APART))
    return [name for name in names if len({repr(run.recipe.get(name)) for run in runs}) > 1]


def records(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The table's rows as plain values, None where a card lacks one."""
    settings = differing(runs)
    return [{"release": run.release, "snapshot": run.snapshot, "backbone": run.recipe.get("backbone"),
             "settings": {name: run.recipe.get(name) for name in settings},
             "epochs": run.measures.get("epochs", run.recipe.get("epochs")),
             "saved_epoch": run.measures.get("saved_epoch"),
             **{name: run.measures.get(name) for name in MEASURES}} for run in runs]


def table(runs: Sequence[Run]) -> str:
    """The runs as a Markdown table; more than one snapshot is a column, for then the figures do not compare."""
    settings = differing(runs)
    several = len({run.snapshot for run in runs}) > 1
    head = ["release", *(["snapshot"] if several else []), "backbone", *settings, "epochs (saved)",
            *(heading for heading, _ in MEASURES.values())]
    rows = [[run.release, *([run.snapshot] if several else []), str(run.recipe.get("backbone", NONE)),
             *(setting(run.recipe.get(name)) for name in settings), run.epochs,
             *(figure(run.measures.get(name), form) for name, (_, form) in MEASURES.items())] for run in runs]
    left = len(head) - len(MEASURES)
    return markdown(head, rows, left)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A Markdown table whose first `left` columns hold words, the others figures."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[at]) for row in cells)) for at in range(len(head))]
    rule = ["-" * width if at < left else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    lines = [[cell.ljust(width) if at < left else cell.rjust(width)
              for at, (cell, width) in enumerate(zip(row, widths, strict=True))] for row in cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))


def figure(value: Any, form: str) -> str:
    """A measure in words; a dash where there is none."""
    return form.format(value) if isinstance(value, int | float) and not isinstance(value, bool) else NONE


def setting(value: Any) -> str:
    """A setting in words; a dash where a recipe lacks it."""
    return NONE if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw the runs' accuracy and recall, one line a run, and what the training cost them, as a picture at `path`."""
    from matplotlib.figure import Figure
    settings = differing(runs)
    words = [_words(run, settings) for run in runs]
    canvas = Figure(figsize=(11, 1.6 + 0.45 * len(runs)), layout="constrained")
    left, right = canvas.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    shown = ("train_top1", "val_top1", "val_recall1", "unseen_recall1")
    for name, mark in zip(shown, "xs^o", strict=True):
        left.plot([run.measures.get(name, float("nan")) for run in runs], range(len(runs)), mark,
                  label=MEASURES[name][0])
    left.set(xlim=(-0.02, 1.02), yticks=range(len(runs)), yticklabels=words, xlabel="share right")
    left.invert_yaxis()
    left.grid(alpha=0.3)
    left.legend(fontsize=8, loc="lower left")
    right.barh(range(len(runs)), [run.measures.get("seconds", 0) / 60 for run in runs])
    right.set(xlabel="minutes")
    save_drawing(canvas, path)


def _words(run: Run, settings: Sequence[str]) -> str:
    """The run's name and, on lines under it, in what it differs."""
    said = ", ".join([str(run.recipe.get("backbone", NONE)),
                      *(f"{name} {setting(run.recipe.get(name))}" for name in settings)])
    return f"{run.release}\n{said if len(said) <= 60 else said[:59] + '…'}"
