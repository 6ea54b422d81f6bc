"""`train sku`: a snapshot and a recipe become a network release that tells the snapshot's products apart."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.photos import PhotoStore
from catalogue.releases import Releases
from catalogue.snapshots import Snapshot, SnapshotPhoto
from training.batches import Labelled
from training.checkpoints import made_before
from training.distilling import Teacher, open_teacher
from training.loop import NOBODY, Row, Watch, fit, saved_epoch, use_bf16
from training.measuring import MOST_QUERIES, Predictions, class_logits, fit_temperature, held_out, predict, train_top1
from training.parallel import Team, join
from training.pixels import pack_readable, sweep_pixels
from training.recipes import Recipe
from training.report import write_report
from training.starting import new_network
from vision.measures import some
from vision.networks import Network
from vision.publishing import save_network
from vision.saved import NetworkCard

log = logging.getLogger(__name__)


def train(snapshot: Snapshot, recipe: Recipe, store: PhotoStore, releases: Releases, runs: Path, device: str,
          watch: Watch = NOBODY, pixels: Path | None = None) -> str:
    """Train and publish; return the release's name. The same call again resumes, or returns what it made before.

    Trainings on one snapshot may share their decoded photos in a folder `pixels`, which stays. Started by `torchrun`,
    the processes train together, each on its share of every batch.
    """
    run = runs / f"sku-{snapshot.digest}-{recipe.digest}"
    team = join(device, recipe)
    with lock(run / "run.lock", "this training") if team.leads else nullcontext():
        if before := team.agree(partial(made_before, run, "network", releases)):
            log.info("this snapshot was trained with this recipe before: %s", before)
            if team.leads:
                _tidy(run)
            return before
        shared = run if pixels is None else pixels / f"{snapshot.digest}-{recipe.size}-{recipe.fit}"
        name = _train(snapshot, recipe, store, releases, run, shared, team, watch if team.leads else NOBODY)
        if team.leads:
            write_file(run / "release", name.encode())
            _tidy(run)
            sweep_pixels(runs)
        return name


def _tidy(run: Path) -> None:
    """Remove what a training that is done needs no longer."""
    # What says that the pixels are whole goes before them: a kill in between must not leave it alone.
    for leftover in ("checkpoint.pt", "pixels.done", "pixels.u8", "pixels.unread"):
        (run / leftover).unlink(missing_ok=True)


def classes_of(snapshot: Snapshot) -> tuple[str, ...]:
    """The product keys that have photos on the train side, sorted: the classes in the order of the logits."""
    return tuple(sorted({photo.product_key for photo in snapshot.side("train")}))


def _train(snapshot: Snapshot, recipe: Recipe, store: PhotoStore, releases: Releases, run: Path, pixels: Path,
           team: Team, watch: Watch) -> str:
    # Before the photos are unpacked, which takes long and much room: these may refuse the recipe.
    classes, network, teacher = _begun(snapshot, recipe, releases)
    packed, rows = team.in_turn(partial(pack_readable, store, [photo.sha256 for photo in snapshot.photos],
                                        recipe.preprocessing, pixels, watch.packed))
    if len(rows) < len(snapshot.photos):
        snapshot = replace(snapshot, photos=tuple(snapshot.photos[row] for row in rows))
        classes, network, teacher = _begun(snapshot, recipe, releases)
    photos = snapshot.photos
    data = _labelled(packed, photos, classes)
    check = [row for row, photo in enumerate(photos) if photo.split != "train"]

    def measure(current: Network) -> Row:
        if not check:
            return {}
        # All photos are the gallery of the full measure; between epochs the held-out ones alone say enough.
        return held_out(predict(current, packed, check, team.device), [photos[row] for row in check], classes)

    history = fit(network, recipe, data, measure, run / "checkpoint.pt", team, teacher, watch.step, watch.epoch)
    return team.agree(lambda: _publish(network, recipe, snapshot, classes, packed, history, store, releases,
                                       team.device))


def _begun(snapshot: Snapshot, recipe: Recipe,
           releases: Releases) -> tuple[tuple[str, ...], Network, Teacher | None]:
    """The classes, the network as it starts, and its teacher."""
    classes = classes_of(snapshot)
    if len(classes) < 2:
        raise BadInput(f"snapshot {snapshot.digest} has {len(classes)} products to train on; at least two are needed")
    network = new_network(recipe, len(classes))
    return classes, network, open_teacher(recipe, releases, classes, network.width)


def _labelled(packed: np.ndarray, photos: Sequence[SnapshotPhoto], classes: Sequence[str]) -> Labelled:
    """The photos of the train side, each with the number of its class and of its model."""
    number = {key: at for at, key in enumerate(classes)}
    rows = np.array([row for row, photo in enumerate(photos) if photo.split == "train"])
    models = np.unique([photo.model_key for photo in photos], return_inverse=True)[1]
    return Labelled(packed, rows, np.array([number[photos[row].product_key] for row in rows]), models[rows])


def _publish(network: Network, recipe: Recipe, snapshot: Snapshot, classes: tuple[str, ...], packed: np.ndarray,
             history: list[Row], store: PhotoStore, releases: Releases, device: torch.device) -> str:
    """Measure the fitted network on all photos and write its release; return the release's name."""
    photos, number = snapshot.photos, {key: at for at, key in enumerate(classes)}
    found = predict(network, packed, range(len(photos)), device, use_bf16(recipe.precision, device))
    val = some([row for row, photo in enumerate(photos) if photo.split == "val" and photo.product_key in number],
               MOST_QUERIES).tolist()
    truth = np.array([number[photos[row].product_key] for row in val], dtype=int)
    temperature = fit_temperature(class_logits(network, packed, val, device), truth)
    card = NetworkCard(asdict(network.architecture), recipe.preprocessing, classes, network.width, temperature,
                       snapshot.digest, asdict(recipe), _measures(network, recipe, found, photos, classes, history))
    with releases.draft("network") as draft:
        save_network(network, card, draft.folder)
        write_report(draft.folder / "report.html", card, history, found, photos, store)
        draft.manifest.update(snapshot=snapshot.digest, width=card.width, measures=card.measures,
                              architecture=card.architecture)
    return draft.name


def _measures(network: Network, recipe: Recipe, found: Predictions, photos: Sequence[SnapshotPhoto],
              classes: Sequence[str], history: list[Row]) -> dict[str, float]:
    """What a table of trainings compares them by."""
    saved = saved_epoch(history, recipe)
    return {"train_top1": train_top1(found, photos, classes), **held_out(found, photos, classes),
            "loss": history[saved - 1]["loss"], "photos": sum(photo.split == "train" for photo in photos),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "epochs": len(history), "saved_epoch": saved,
            "photos_per_s": float(np.median([row["photos_per_s"] for row in history])),
            "seconds": sum(row["seconds"] for row in history)}
