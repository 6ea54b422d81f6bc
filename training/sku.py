"""`train sku`: a snapshot and a recipe become a network release that tells the snapshot's products apart."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from catalogue.errors import BadInput
from catalogue.files import lock, write_file
from catalogue.photos import PhotoStore
from catalogue.releases import Releases
from catalogue.snapshots import Snapshot
from training.loop import Labelled, Step, fit
from training.measuring import MOST_QUERIES, class_logits, fit_temperature, held_out, predict
from training.pixels import pack
from training.recipes import Recipe
from training.report import write_report
from vision.networks import Architecture, Network
from vision.preprocessing import Preprocessing
from vision.publishing import save_network
from vision.saved import NetworkCard
from vision.weights import load_start, read_weights

log = logging.getLogger(__name__)
SHIPPED = Path(__file__).parent / "start"


@dataclass(frozen=True)
class Watch:
    """Who wants to hear how training goes; each may be None. What `epoch` raises ends the training unpublished."""

    packed: Callable[[int], None] | None = None
    step: Callable[[Step], None] | None = None
    epoch: Callable[[dict[str, float]], None] | None = None


def train(snapshot: Snapshot, recipe: Recipe, store: PhotoStore, releases: Releases, runs: Path, device: str,
          watch: Watch = Watch(), pixels: Path | None = None) -> str:
    """Train and publish; return the release's name. The same call again resumes, or returns what it made before.

    Trainings on one snapshot may share their decoded photos in a folder `pixels`, which stays.
    """
    run = runs / f"sku-{snapshot.digest}-{recipe.digest}"
    with lock(run / "run.lock", "this training"):
        finished = run / "release"
        if finished.is_file() and finished.read_text() in releases.names("network"):
            releases.check(releases.open(finished.read_text()))
            log.info("this snapshot was trained with this recipe before: %s", finished.read_text())
            return finished.read_text()
        shared = run if pixels is None else pixels / f"{snapshot.digest}-{recipe.size}"
        name = _train(snapshot, recipe, store, releases, run, shared, torch.device(device), watch)
        write_file(finished, name.encode())
        for leftover in ("checkpoint.pt", "pixels.u8", "pixels.done"):
            (run / leftover).unlink(missing_ok=True)
        return name


def classes_of(snapshot: Snapshot) -> tuple[str, ...]:
    """The product keys that have photos on the train side, sorted: the classes in the order of the logits."""
    return tuple(sorted({photo.product_key for photo in snapshot.side("train")}))


def start_weights(start: str, backbone: str) -> Mapping[str, Tensor] | None:
    """The weights to start from as the recipe names them; None only where it says `none`."""
    if start == "none":
        return None
    if start == "shipped":
        path = SHIPPED / f"{backbone}.pt"
        if not path.is_file():
            raise BadInput(f"no {backbone} is shipped to start from; shipped are "
                           f"{', '.join(sorted(p.stem for p in SHIPPED.glob('*.pt'))) or 'none'}")
        return read_weights(path)
    if start.startswith("torchvision:"):
        from torchvision.models import get_weight
        try:
            weights: Mapping[str, Tensor] = get_weight(start.partition(":")[2]).get_state_dict(check_hash=True)
        except (ValueError, KeyError, AttributeError) as error:
            raise BadInput(f"torchvision knows no weights {start.partition(':')[2]!r}; a name is like "
                           "ResNet18_Weights.IMAGENET1K_V1") from error
        except OSError as error:
            raise BadInput(f"the weights of {start} could not be downloaded ({error}); name a local file") from error
        return weights
    return read_weights(Path(start))


def new_network(recipe: Recipe, classes: int) -> Network:
    """The untrained network of a recipe, its trunk loaded as the recipe says."""
    torch.manual_seed(recipe.seed)
    architecture = Architecture(recipe.backbone, recipe.embedding, recipe.head, recipe.scale, recipe.pooling,
                                recipe.levels)
    network = Network(architecture, classes, Preprocessing(recipe.size))
    weights = start_weights(recipe.start, recipe.backbone)
    if weights is not None:
        fresh = load_start(network, weights, recipe.start)
        log.info("started from %s; new: %s", recipe.start, ", ".join(fresh) or "nothing")
    return network


def _train(snapshot: Snapshot, recipe: Recipe, store: PhotoStore, releases: Releases, run: Path, pixels: Path,
           device: torch.device, watch: Watch) -> str:
    classes = classes_of(snapshot)
    if len(classes) < 2:
        raise BadInput(f"snapshot {snapshot.digest} has {len(classes)} products to train on; at least two are needed")
    preprocessing = Preprocessing(recipe.size)
    photos = snapshot.photos
    packed = pack(store, [photo.sha256 for photo in photos], preprocessing, pixels, watch.packed)
    number = {key: at for at, key in enumerate(classes)}
    train_rows = np.array([row for row, photo in enumerate(photos) if photo.split == "train"])
    models = np.unique([photo.model_key for photo in photos], return_inverse=True)[1]
    data = Labelled(packed, train_rows, np.array([number[photos[row].product_key] for row in train_rows]),
                    models[train_rows])
    network = new_network(recipe, len(classes))
    check = [row for row, photo in enumerate(photos) if photo.split != "train"] or list(range(len(photos)))

    def measure(current: Network) -> dict[str, float]:
        # All photos are the gallery of the full measure; between epochs the held-out ones alone say enough.
        return held_out(predict(current, packed, check, device), [photos[row] for row in check], classes)

    history = fit(network, recipe, data, measure, run / "checkpoint.pt", device, watch.step, watch.epoch)
    found = predict(network, packed, range(len(photos)), device)
    val = [row for row, photo in enumerate(photos) if photo.split == "val" and photo.product_key in number]
    val = val[:MOST_QUERIES]
    truth = np.array([number[photos[row].product_key] for row in val], dtype=int)
    card = NetworkCard(asdict(network.architecture), preprocessing, classes, network.width,
                       fit_temperature(class_logits(network, packed, val, device), truth), snapshot.digest,
                       asdict(recipe),
                       {**held_out(found, photos, classes), "photos": len(train_rows), "loss": history[-1]["loss"]})
    with releases.draft("network") as draft:
        save_network(network, card, draft.folder)
        write_report(draft.folder / "report.html", card, history, found, photos, store)
        draft.manifest.update(snapshot=snapshot.digest, width=card.width, measures=card.measures,
                              architecture=card.architecture)
    return draft.name
