"""Several processes that train one network together, as `torchrun` starts them; one process is a team of one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from catalogue.errors import BadInput
from training.recipes import Recipe
from vision.networks import Network

# The others wait while the leader packs photos, measures and publishes: for hours where there are many. Without a word
# torch would give the leader up after ten minutes (NCCL). A process that dies is noticed by `torchrun`.
PATIENCE = timedelta(days=7)
# What comes after the gathering of features sees the whole batch in every process.
WHOLE = ("neck.", "head.")
T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """This process's place among `size` that train together. The first of them leads: it alone measures and writes."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process measures and writes."""
        return self.rank == 0

    def agree(self, make: Callable[[], T]) -> T:
        """Return what the leader's `make` returned, in every process, once it has."""
        if self.size == 1:
            return make()
        told: list[T | None] = [make() if self.leads else None]
        dist.broadcast_object_list(told, device=self.device)
        return told[0]  # type: ignore[return-value]

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return what `make` returned in this process: first in the leader, so that the others find what it wrote."""
        if not self.leads:
            self.agree(lambda: None)
            return make()
        made = make()
        self.agree(lambda: None)
        return made

    def portion(self, recipe: Recipe) -> int:
        """What a batch must be a multiple of, for every process to get as many photos in whole groups."""
        return self.size * (recipe.group if recipe.sampling == "balanced" else 1)

    def check(self, recipe: Recipe) -> None:
        """Raise `BadInput` if the batches of a recipe cannot be shared out; it names those that can."""
        portion, least = self.portion(recipe), 2 * self.size  # batch norm needs two photos in each process
        if self.size > 1 and (recipe.batch % portion or recipe.batch < least):
            before = recipe.batch - recipe.batch % portion
            fit = [str(batch) for batch in range(before, before + 3 * portion, portion) if batch >= least][:2]
            raise BadInput(f"recipe: {self.size} processes cannot share out a batch of {recipe.batch} in groups of "
                           f"{portion // self.size}; set batch={' or '.join(fit)}")

    def own(self, length: int) -> slice:
        """This process's part of a batch, whose length is a multiple of `size`."""
        part = length // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def gather(self, own: Tensor) -> Tensor:
        """Return the whole batch of these rows (n, …), gradients flowing into this process's own alone."""
        if self.size == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own.detach().contiguous())
        parts[self.rank] = own
        return torch.cat(parts)

    def share_gradients(self, network: Network) -> None:
        """Make every process's gradients those of the whole batch.

        Each computed the loss of the whole batch with gradients into its own photos: what lies before the gathering
        adds up, what lies after it is the same everywhere but for rounding.
        """
        if self.size == 1:
            return
        found = [(name, parameter.grad) for name, parameter in network.named_parameters() if parameter.grad is not None]
        flat = torch.cat([grad.flatten() / (self.size if name.startswith(WHOLE) else 1) for name, grad in found])
        dist.all_reduce(flat)
        for (_, grad), shared in zip(found, flat.split([grad.numel() for _, grad in found]), strict=True):
            grad.copy_(shared.view_as(grad))


def join(device: str, recipe: Recipe) -> Team:
    """Join the processes `torchrun` started to train a recipe; without it, be alone."""
    if not dist.is_torchelastic_launched():
        return Team(torch.device(device))
    on_gpu = device.startswith("cuda")
    if not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    place = torch.device("cuda", dist.get_node_local_rank()) if on_gpu else torch.device(device)
    if on_gpu:
        torch.cuda.set_device(place)
    team = Team(place, dist.get_rank(), dist.get_world_size())
    team.check(recipe)
    return team
