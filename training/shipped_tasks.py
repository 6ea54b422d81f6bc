"""Task networks as a pair of files, NAME.pt (half precision) and NAME.json: written by `export`, published by
`install`."""

import hashlib
import io
import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalogue.errors import BadInput, BadRelease, NotFound
from catalogue.files import write_file
from catalogue.releases import Published, Releases
from training.guard import Shown, logits_of, threshold_for
from training.task_file import SHIPPED
from vision.classification import probabilities
from vision.networks import Architecture, Network
from vision.publishing import save_network
from vision.saved import CARD, NetworkCard, read_card
from vision.weights import load_network, read_weights

log = logging.getLogger(__name__)
MOST_BYTES = 10_000_000
FACTS = ("task", "about", "classes", "measures", "data", "photos", "guard", "filled", "attribution")


def export_task(release: Published, folder: Path, attribution: str = "") -> tuple[Path, int]:
    """Write a task release as NAME.pt and NAME.json into a folder; return the first's path and its size in bytes.

    `BadInput` if the weights take more than 10 MB: such a network is too large to be shipped.
    """
    name, card = str(release.manifest["task"]), read_card(release.folder)
    buffer = io.BytesIO()
    torch.save({key: value.half() if value.is_floating_point() else value
                for key, value in load_network(release.folder).state_dict().items()}, buffer)
    if buffer.tell() > MOST_BYTES:
        raise BadInput(f"the network of {release.name} takes {buffer.tell() / 1e6:.1f} MB in half precision, more than "
                       f"{MOST_BYTES / 1e6:.0f}; train a smaller backbone")
    facts = {key: release.manifest[key] for key in FACTS if key in release.manifest}
    if attribution:
        facts["attribution"] = attribution
    told = asdict(card)
    start = Path(str(told["recipe"].get("start", "")))
    if start.is_absolute():  # where its file lay here is no one else's business
        told["recipe"]["start"] = start.name
    described = {"card": told, "manifest": facts, "weights": hashlib.sha256(buffer.getvalue()).hexdigest()}
    text = json.dumps(described, indent=1, ensure_ascii=False, sort_keys=True)
    write_file(folder / f"{name}.pt", buffer.getvalue())
    write_file(folder / f"{name}.json", text.encode())
    return folder / f"{name}.pt", buffer.tell()


def shipped(folder: Path = SHIPPED) -> list[str]:
    """The names of the tasks whose networks are shipped."""
    return sorted(path.stem for path in folder.glob("*.pt") if path.with_suffix(".json").is_file())


def install_task(name: str, releases: Releases, photos: Callable[[], Shown], device: str,
                 folder: Path = SHIPPED) -> str:
    """Publish a shipped network and return its release's name; the same files and photos give the same release.

    `photos` is asked, where the network has a guard, for what that is fitted to.
    """
    raw = _described(name, folder)
    facts: dict[str, Any] = dict(raw["manifest"])
    shown = photos() if "guard" in facts else None
    # An export of the same network differs in bytes: what was installed before is found by what it was installed from.
    facts["installed"] = _installed(name, folder, shown)
    for before in releases.all("task"):
        if before.manifest.get("installed") == facts["installed"]:
            try:
                releases.check(before)
                return before.name
            except BadRelease as error:
                log.warning("%s; it is published again", error)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / CARD).write_text(json.dumps(raw["card"]), encoding="utf-8")
        card = read_card(Path(place))
    network = Network(Architecture(**card.architecture), len(card.classes), card.preprocessing)
    try:
        network.load_state_dict({key: value.float() if value.is_floating_point() else value
                                 for key, value in read_weights(folder / f"{name}.pt").items()})
    except RuntimeError as error:
        raise BadRelease(f"the weights of {name}.pt do not fit {name}.json ({error}); export both again") from error
    if shown is not None:
        facts["guard"] = _refitted(facts["guard"], network.eval(), card, shown, device)
    with releases.draft("task") as draft:
        save_network(network, card, draft.folder)
        draft.manifest.update({**facts, "architecture": card.architecture, "width": card.width})
    return draft.name


def _installed(name: str, folder: Path, shown: Shown | None) -> str:
    """A short name for a pair of files and what a guard is fitted to."""
    pair = [(folder / f"{name}{ending}").read_bytes() for ending in (".pt", ".json")]
    return hashlib.sha256(b"".join([*pair, b"" if shown is None else shown.digest.encode()])).hexdigest()[:16]


def _described(name: str, folder: Path) -> dict[str, Any]:
    """The JSON beside a shipped network; `BadRelease` if it describes other weights, whose classes are others, too."""
    if name not in shipped(folder):
        raise NotFound(f"no network of the task {name!r} lies in {folder}; there are "
                       f"{', '.join(shipped(folder)) or 'none'}; `solesearch task train {name}` makes one")
    described = dict(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    if described.get("weights") != hashlib.sha256((folder / f"{name}.pt").read_bytes()).hexdigest():
        raise BadRelease(f"{folder / name}.json does not describe the weights in {name}.pt; export both again")
    return described


def _refitted(guard: dict[str, Any], network: Network, card: NetworkCard, shown: Shown, device: str) -> dict[str, Any]:
    """The guard fitted to the photos of this catalogue; without enough of them it refuses none."""
    facts = {**guard, "threshold": 0.0, "refused": 0.0, "photos": 0, "shown": shown.digest}
    if not shown.names:
        return facts
    logits = logits_of(network.to(device), card.preprocessing, shown, torch.device(device))
    if not len(logits):
        return facts
    sure = probabilities(logits, card.temperature)[:, card.classes.index(guard["class"])]
    threshold = threshold_for(sure, float(guard["refuse_at_most"]))
    return {**facts, "threshold": threshold, "refused": float(np.mean(sure < threshold)), "photos": len(sure)}
