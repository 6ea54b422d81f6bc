"""The state of an unfinished training as one file: with it a resumed training ends as an uninterrupted one does."""

import io
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from catalogue.errors import BadInput, BadRelease, NotFound
from catalogue.files import write_file
from catalogue.releases import Releases
from training.losses import Objective
from training.optimizing import Averaged

log = logging.getLogger(__name__)
Row = dict[str, float]


def save_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, objective: Objective,
                    averaged: Averaged | None, best: dict[str, Tensor] | None, history: list[Row]) -> None:
    """Write everything that an epoch left behind."""
    buffer = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "objective": objective.state(),
                "averaged": averaged and averaged.state_dict(), "best": best, "history": history}, buffer)
    write_file(path, buffer.getvalue())


def load_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, objective: Objective,
                    averaged: Averaged | None, device: torch.device) -> tuple[list[Row], dict[str, Tensor] | None]:
    """Restore what was saved, if anything was; return the rows of the epochs done and the best weights so far."""
    if not path.is_file():
        return [], None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        objective.restore(state["objective"])
        if averaged is not None:
            averaged.load_state_dict(state["averaged"])
        return state["history"], state["best"]
    except (RuntimeError, KeyError, ValueError, EOFError, TypeError) as error:
        raise BadInput(f"the checkpoint {path} does not fit this recipe ({error}); delete it to start again") from error


def made_before(run: Path, kind: str, releases: Releases) -> str:
    """The release of a kind that the very same training in `run` made; empty if there is none, or it is damaged."""
    finished = run / "release"
    if not finished.is_file() or finished.read_text() not in releases.names(kind):
        return ""
    try:
        releases.check(releases.open(finished.read_text()))
    except (BadRelease, NotFound) as error:
        log.warning("%s; it is made again", error)
        return ""
    return finished.read_text()
