"""Learning from a teacher: a trained network whose answers on the very same pixels the student is drawn to."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from catalogue.errors import BadInput
from catalogue.releases import Releases
from training.recipes import Recipe
from vision.networks import Network
from vision.saved import read_card
from vision.weights import load_network


class Teacher:
    """A network that stays as it is, and which of its classes (c,) are the student's."""

    def __init__(self, network: Network, size: int, recipe: Recipe, columns: Tensor | None) -> None:
        self.network = network.eval().requires_grad_(False)
        self.size = size
        self.recipe = recipe
        self.columns = columns

    def to(self, device: torch.device) -> None:
        """Move to the device of the training."""
        self.network.to(device)
        self.columns = None if self.columns is None else self.columns.to(device)

    @torch.no_grad()
    def says(self, pixels: Tensor) -> Tensor:
        """Return logits (n, c) or unit embeddings (n, d) of pixels (n, 3, s, s), at the size the teacher knows."""
        if pixels.shape[-1] != self.size:
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        if self.columns is None:
            return F.normalize(self.network.features(pixels).float())  # before any whitening, as the student's
        return self.network(pixels).float()[:, self.columns]

    def loss(self, said: Tensor, features: Tensor, logits: Tensor) -> Tensor:
        """Return how far a student with features (n, d) and logits (n, c) is from what the teacher said of it.

        By logits it is Hinton et al.'s (2015) divergence at a temperature, by embedding one minus the cosine.
        """
        if self.columns is None:
            return (1 - (F.normalize(features.float()) * said).sum(1)).mean()
        heat = self.recipe.distill_temperature
        student, teacher = (F.log_softmax(found.float() / heat, 1) for found in (logits, said))
        return heat**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def open_teacher(recipe: Recipe, releases: Releases, classes: Sequence[str], width: int) -> Teacher | None:
    """Open the release a recipe names as its teacher; `BadInput` if this student cannot learn from it."""
    if not recipe.teacher or not recipe.distill:
        return None
    folder = releases.open(recipe.teacher).folder
    card = read_card(folder)
    columns = None
    if recipe.distill_by == "logits":
        place = {key: at for at, key in enumerate(card.classes)}
        strange = [key for key in classes if key not in place]
        if strange:
            raise BadInput(f"the teacher {recipe.teacher} does not know {len(strange)} of the {len(classes)} products, "
                           f"the first is {strange[0]}; set distill_by=embedding, or train it on this snapshot")
        columns = torch.tensor([place[key] for key in classes])
    elif card.width != width:
        raise BadInput(f"the teacher {recipe.teacher} embeds in {card.width} numbers, this recipe in {width}; "
                       f"set embedding={card.width}")
    return Teacher(load_network(folder), card.preprocessing.size, recipe, columns)
