"""The report of a task's training as one HTML file: measures, classes, confusions, curves, the worst mistakes."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.drawings import drawing_uri
from training.task_data import TaskData
from training.task_file import Task
from vision.classification import Classification, classification, probabilities
from vision.inline import STYLE, thumbnail_uri
from vision.saved import NetworkCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_MISTAKES = 24
MOST_NAMES = 30     # classes whose names a confusion matrix still has room for
LOOK = ("figure{display:inline-block;margin:.4rem;width:10rem;font-size:12px;vertical-align:top}"
        ".warn{background:#fff3cd;padding:.6rem 1rem}td.n{text-align:right}")


def write_task_report(path: Path, task: Task, card: NetworkCard, history: Sequence[Mapping[str, float]], data: TaskData,
                      logits: np.ndarray, val: np.ndarray, warning: str) -> None:
    """Write the report of a network whose logits (n, c) of all photos are given; `val` are the rows held out."""
    found = classification(data.labels[val], logits[val].argmax(1), len(data.classes))
    train = classification(data.labels[data.rows("train")], logits[data.rows("train")].argmax(1), len(data.classes))
    measures = "".join(f"<tr><th>{html.escape(name)}<td>{_number(value)}" for name, value in card.measures.items())
    settings = "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(str(value))}"
                       for name, value in card.recipe.items())
    path.write_text(f"""<!doctype html><meta charset="utf-8"><title>Task {task.name}</title><style>
{STYLE}{LOOK}</style>
<h1>Task {task.name}</h1><p>{html.escape(task.about)}<p>{said_of(found)}; photos {card.snapshot}.
{f'<p class="warn">{html.escape(warning)}' if warning else ''}{_left_out(data, card)}
<h2>By class</h2>{class_table(data.classes, found, train)}
<h2>Confusion matrix</h2><img alt="confusion matrix" src="{drawing_uri(draw_confusion(data.classes, found))}">
<h2>Curves</h2><img alt="loss and accuracy by epoch" src="{drawing_uri(draw_curves(history))}">
<h2>Worst mistakes</h2>{_mistakes(card, data, logits, val)}
<h2>Measures</h2><table>{measures}</table><h2>Recipe</h2><table>{settings}</table>
""", encoding="utf-8")


def said_of(found: Classification) -> str:
    """Accuracy in words: share, interval, correct of total."""
    return (f"accuracy {found.accuracy:.3f} [{found.low:.3f}, {found.high:.3f}] ({found.correct} / {found.photos}), "
            f"balanced {found.balanced_accuracy:.3f}, macro F1 {found.macro_f1:.3f}")


def class_table(classes: Sequence[str], found: Classification, train: Classification | None = None) -> str:
    """Precision, recall with its interval, F1, support and correct / total of every class, as an HTML table."""
    head = "<tr><th>class<th>precision<th>recall<th>95 %<th>F1<th>support<th>correct / total" + (
        "<th>in training" if train else "")
    rows = []
    for number, (name, one) in enumerate(zip(classes, found.classes, strict=True)):
        own = train.classes[number] if train else None
        rows.append(f"<tr><td>{html.escape(name)}<td class=n>{one.precision:.3f}<td class=n>{one.recall:.3f}"
                    f"<td class=n>{one.low:.3f}–{one.high:.3f}<td class=n>{one.f1:.3f}<td class=n>{one.support}"
                    f"<td class=n>{one.correct} / {one.support}"
                    + (f"<td class=n>{own.correct} / {own.support}" if own else ""))
    return f"<table>{head}{''.join(rows)}</table>"


def draw_confusion(classes: Sequence[str], found: Classification) -> "Figure":
    """Draw the confusion matrix, each row as shares of its true class."""
    from matplotlib.figure import Figure
    side = 2.5 + min(len(classes), 60) * (0.5 if len(classes) <= MOST_NAMES else 0.09)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    figure.colorbar(draw_confusion_on(axes, classes, found), shrink=0.7)
    return figure


def draw_confusion_on(axes: Any, classes: Sequence[str], found: Classification) -> Any:
    """Draw the confusion matrix on axes; return the picture of it, for a colour bar."""
    shares = found.confusion / np.maximum(found.confusion.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="taken for", ylabel="is")
    if len(classes) <= MOST_NAMES:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        for row, column in zip(*np.nonzero(found.confusion), strict=True):
            axes.text(column, row, str(found.confusion[row, column]), ha="center", va="center", fontsize=8,
                      color="white" if shares[row, column] > 0.5 else "black")
    return image


def draw_curves(history: Sequence[Mapping[str, float]]) -> "Figure":
    """Draw loss and accuracy by epoch, of training (augmented photos) and of held-out photos."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, names, word in zip(figure.subplots(1, 2), (("loss", "val_loss"), ("train_top1", "val_accuracy",
                                                                                "val_macro_f1")),
                                 ("loss", "share right"), strict=True):
        for name in names:
            axes.plot(epochs, [row.get(name, np.nan) for row in history], label=name.replace("_", " "))
        axes.set(xlabel="epoch", ylabel=word)
        axes.legend(fontsize=8)
    return figure


def _mistakes(card: NetworkCard, data: TaskData, logits: np.ndarray, val: np.ndarray) -> str:
    """Held-out photos of which the network is surest that they are what they are not."""
    said, truth = probabilities(logits[val], card.temperature), data.labels[val]
    wrong = np.flatnonzero(said.argmax(1) != truth)
    if not len(wrong):
        return "<p>None among the held-out photos."
    worst = wrong[np.argsort(-said[wrong].max(1), kind="stable")][:MOST_MISTAKES]
    return f"<p>{len(wrong)} of {len(val)} held-out photos, the surest first: what it is, what it was taken for." + \
        "".join(f'<figure><img alt="" src="{thumbnail_uri(data.photos[val[at]].image())}"><figcaption>'
                f"{html.escape(data.classes[truth[at]])} → {html.escape(data.classes[said[at].argmax()])} "
                f"({said[at].max():.2f})<br>{html.escape(data.photos[val[at]].path.name)}</figcaption></figure>"
                for at in worst)


def _left_out(data: TaskData, card: NetworkCard) -> str:
    said = []
    if data.unreadable:
        names = "".join(f"<li>{html.escape(one)}" for one in data.unreadable[:50])
        said.append(f"{len(data.unreadable)} photos cannot be read and were left out:<ul>{names}</ul>")
    if data.skipped:
        said.append("Labels that are no class were skipped: " + ", ".join(
            f"{html.escape(name)} ({count})" for name, count in sorted(data.skipped.items())) + ".")
    if data.leaked:
        said.append(f"{data.leaked} held-out photos have a near-duplicate among those trained on, as their source "
                    "parted them: cross-validation parts them by group.")
    if card.measures.get("saved_epoch") != card.measures.get("epochs") or card.recipe.get("keep") == "best":
        said.append("The epoch that was kept was chosen by these held-out photos, which flatters the measures a "
                    "little; cross-validation chooses by others.")
    return "".join(f"<p>{one}" for one in said)


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else html.escape(str(value))
