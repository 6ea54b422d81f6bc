"""The loop: a killed training resumes to the same weights whatever its settings, and several processes are as one."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from catalogue.errors import BadInput
from training.batches import Labelled, ahead, shrunk, size_at
from training.distilling import Teacher
from training.loop import Row, Run, fit, saved_epoch, set_mode, use_bf16
from training.losses import Objective
from training.mixing import mix
from training.optimizing import Averaged
from training.parallel import Team
from training.probing import probe
from training.recipes import Recipe
from training.starting import new_network
from vision.networks import Network

TINY = Recipe(size=16, epochs=3, views=4, batch=8, lr=0.01, precision="fp32", embedding=16)
ALONE = Team(torch.device("cpu"))


def data(size: int = 16) -> Labelled:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 3)
    return Labelled(random.integers(0, 256, (12, size, size, 4), dtype=np.uint8), np.arange(12), labels, labels // 2)


def trained(recipe: Recipe, checkpoint: Path, each: Callable[[Row], None] | None = None) -> tuple[Network, list[Row]]:
    network = new_network(recipe, 4)
    scores = iter((0.3, 0.9, 0.5))
    history = fit(network, recipe, data(), lambda _: {"val_recall1": next(scores)}, checkpoint, ALONE, each=each)
    return network, history


def same(one: Network, other: Network) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(("able", "fast"), [
    ({"amx_bf16": True}, True), ({"avx512_bf16": True}, False), ({}, False),
    ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, True),
    ({"avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, False)])
def test_a_cpu_trains_in_bf16_where_that_is_faster(
        monkeypatch: pytest.MonkeyPatch, able: dict[str, bool | str], fast: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert use_bf16("auto", ALONE.device) is fast
    assert use_bf16("bf16", ALONE.device) and not use_bf16("fp32", ALONE.device)


@pytest.mark.parametrize("changes", [
    {"keep": "best", "ema": 0.9, "mixup": 0.5, "cutmix": 0.5, "frozen": 1, "clip": 1.0},
    {"optimizer": "adamw", "lr": 0.001, "memory": 32, "levels": 4, "pooling": "gem", "freeze_norms": True},
    {"probe": 2, "probe_batch": 8, "renditions": 2, "levels": 2, "colours": 3, "ema": 0.5, "memory": 16},
    {"loss": "none", "metric": "triplet", "zero_gamma": True}], ids=lambda changes: next(iter(changes)))
def test_killed_and_resumed_it_ends_in_the_same_weights(tmp_path: Path, changes: dict[str, object]) -> None:
    recipe = replace(TINY, **changes)

    def die(row: Row) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(recipe, tmp_path / "killed.pt", die)
    network = new_network(replace(recipe, seed=7), 4)
    history = fit(network, recipe, data(), lambda _: {"val_recall1": 0.5}, tmp_path / "killed.pt", ALONE)
    whole, rows = trained(recipe, tmp_path / "whole.pt")
    assert same(network, whole) and [row["loss"] for row in history] == [row["loss"] for row in rows]
    assert saved_epoch(rows, recipe) == (2 if recipe.keep == "best" else 3)


def test_a_frozen_trunk_stays_and_so_do_frozen_statistics() -> None:
    network = new_network(TINY, 4)
    set_mode(network, replace(TINY, frozen=1), 0)
    assert not network.trunk.training and network.neck.training
    assert not any(parameter.requires_grad for parameter in network.trunk.parameters())
    set_mode(network, replace(TINY, frozen=1, freeze_norms=True), 1)
    assert network.trunk.training and not network.trunk.bn1.training
    assert all(parameter.requires_grad for parameter in network.trunk.parameters())


def test_a_probe_fits_what_stands_on_the_trunk_and_leaves_the_trunk(tmp_path: Path) -> None:
    recipe = replace(TINY, probe=12, probe_batch=8, renditions=2, levels=2, colours=3, epochs=1, lr=1e-9)
    network, before = new_network(recipe, 4), new_network(recipe, 4)
    labelled = data()
    objective = Objective(recipe, network.head, network.width, 4)
    last = probe(network, recipe, labelled, objective, ALONE.device, bf16=False)
    first = probe(before, replace(recipe, probe=1), labelled,
                  Objective(recipe, before.head, before.width, 4), ALONE.device, bf16=False)
    assert last < first
    assert same_trunk(network, new_network(recipe, 4))
    assert not torch.equal(network.reduce.weight, new_network(recipe, 4).reduce.weight)


def test_a_probe_is_not_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(TINY, probe=1, probe_batch=8, renditions=2)

    def die(row: Row) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, tmp_path / "run.pt", die)
        monkeypatch.setattr("training.loop.probe", None)


def same_trunk(one: Network, other: Network) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.trunk.state_dict().values(), other.trunk.state_dict().values(),
                                                 strict=True))


def test_the_average_follows_the_weights() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    averaged = Averaged(network, 0.5)
    for value in (1.0, 3.0):
        torch.nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
    assert 1 < averaged.module.weight.item() < 3


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="diverged: the loss of epoch 1 is no number; set a lower lr"):
        trained(replace(TINY, lr=1e30, clip=0.0), tmp_path / "checkpoint.pt")


def test_the_size_grows_to_the_whole() -> None:
    recipe = Recipe(size=128, size_from=64, epochs=9)
    sizes = [size_at(recipe, epoch) for epoch in range(9)]
    assert sizes == sorted(sizes) and sizes[0] == 64 and sizes[-2:] == [128, 128] and size_at(Recipe(), 0) == 128
    assert size_at(Recipe(size=128, size_from=40, epochs=9), 0) == 40
    assert size_at(Recipe(size=128, size_from=40, epochs=1), 0) == 128
    assert [size_at(Recipe(size=128, train_size=96, size_from=64, epochs=9), epoch) for epoch in (0, 8)] == [64, 96]
    assert size_at(Recipe(size=128, train_size=96, epochs=9), 0) == 96
    packed = torch.full((1, 32, 32, 4), 200, dtype=torch.uint8)
    assert shrunk(packed, 16).shape == (1, 16, 16, 4) and (shrunk(packed, 16) == 200).all()


def test_mixing_says_how_much_is_left() -> None:
    pixels = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 32, 32).contiguous()
    for recipe in (Recipe(mixup=1.0), Recipe(cutmix=1.0)):
        mixed, partner, share = mix(pixels, recipe, np.random.default_rng(1))
        own, other = torch.arange(4.0), partner.float()
        assert torch.allclose(mixed.mean((1, 2, 3)), share * own + (1 - share) * other, atol=1e-4)
    assert mix(pixels, Recipe(), np.random.default_rng(1)) is None


def test_a_thread_ahead_keeps_the_order_and_passes_on_failure() -> None:
    assert list(ahead(lambda x: 2 * x, range(9))) == [2 * x for x in range(9)]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda x: 1 // x, [1, 0, 2]))


def test_a_student_draws_near_its_teacher() -> None:
    teacher = new_network(replace(TINY, seed=3), 6)
    student = new_network(TINY, 4)
    pixels = torch.rand(8, 3, 16, 16) * 255
    for columns in (torch.tensor([5, 1, 0, 2]), None):
        guide = Teacher(teacher, 32, TINY, columns)
        said = guide.says(pixels)
        assert said.shape == (8, 4 if columns is not None else 16)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.01)
        losses = []
        for _ in range(8):
            features = student.features(pixels)
            loss = guide.loss(said, features, student.head(features))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert 0 <= losses[-1] < losses[0]
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize(("size", "changes", "fitting"), [
    (3, {}, (60, 72)), (8, {"batch": 16}, (32, 64)), (2, {"batch": 2, "sampling": "natural"}, (4, 6))], ids=str)
def test_processes_refuse_a_batch_that_they_cannot_share_out(size: int, changes: dict[str, Any],
                                                             fitting: tuple[int, int]) -> None:
    recipe, team = Recipe(**changes), Team(ALONE.device, 0, size)
    with pytest.raises(BadInput, match="set batch={} or {}".format(*fitting)):
        team.check(recipe)
    for batch in fitting:
        team.check(replace(recipe, batch=batch))
    ALONE.check(recipe)


def test_a_last_batch_of_one_photo_a_process_is_left_out() -> None:
    recipe = replace(TINY, sampling="natural", batch=10)  # of 12 photos
    for team, sizes in ((ALONE, [10, 2]), (Team(ALONE.device, 0, 2), [10])):
        run = Run(new_network(recipe, 4), recipe, data(), team, None)
        assert [len(batch) for batch in run._chosen(0)] == sizes


PROGRAM = """
import sys
from pathlib import Path
import torch
from tests.training.test_loop import data
from training.loop import fit
from training.parallel import join
from training.recipes import Recipe
from training.starting import new_network
torch.set_num_threads(1)
recipe = Recipe(size=16, epochs=2, views=4, batch=8, lr=0.01, precision="fp32", embedding=16, freeze_norms=True,
                background=0, geometry=0, light=0, blur=0, erase=0, flip=False)
team = join("cpu", recipe)
network = new_network(recipe, 4)
fit(network, recipe, data(), lambda _: {}, Path(sys.argv[1]) / f"{team.size}.checkpoint", team)
if team.leads:
    torch.save(network.state_dict(), Path(sys.argv[1]) / f"{team.size}.pt")
assert (Path(sys.argv[1]) / f"{team.size}.checkpoint").is_file() or not team.leads
"""


@pytest.mark.slow
def test_two_processes_end_as_one_does(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    root = Path(__file__).parents[2]
    for starter in ([sys.executable], [sys.executable, "-m", "torch.distributed.run", "--standalone",
                                       "--nproc-per-node=2"]):
        subprocess.run([*starter, str(tmp_path / "program.py"), str(tmp_path)], check=True, cwd=root,
                       env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"})
    one, two = (torch.load(tmp_path / f"{size}.pt", weights_only=True) for size in (1, 2))
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-4), name
