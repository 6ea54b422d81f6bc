"""Photos a second of the training loop beside the bare forward, backward and step on tensors already in memory.

    python -m benchmarks.training_speed [--recipe FILE] [--set NAME=VALUE …] [--products N] [--rounds N] [--json]

Both run the same network with the same losses and optimizer, in turns, so that whatever else the machine does meets
both; the median of the turns' ratios, with their quartiles, says what decoding, gathering, augmentation and bookkeeping
cost. 1 is nothing.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.augmentation import augment
from training.batches import Batch, Labelled, batches, gathered_at, size_at
from training.loop import Run, set_mode
from training.parallel import Team
from training.recipes import Recipe, read_recipe
from training.starting import new_network

PHOTOS_EACH = 4


def main() -> None:
    """Run the benchmark and print both paces, with --json one object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--products", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recipe = read_recipe(options.recipe, ["start=none", *options.changes])  # weights do not change the pace
    with tempfile.TemporaryDirectory() as folder:
        found = compare(recipe, made_up(options.products, recipe.size, Path(folder)), options.device, options.rounds)
    print(f"{recipe.backbone} at {recipe.size} px, batch {recipe.batch}, {found['precision']} on {options.device}: "
          f"loop {found['loop']:.1f} photos/s, bare {found['bare']:.1f} photos/s, ratio {found['ratio']:.3f} "
          f"[quartiles {found['ratio_low']:.3f}–{found['ratio_high']:.3f}] of {options.rounds} rounds")
    print(f"of a step's time: augmentation {found['augmentation']:.1%}; another thread meanwhile gathers the next "
          f"batch in {found['gathering']:.1%}")
    if options.json:
        print(json.dumps(found))


def made_up(products: int, size: int, folder: Path) -> Labelled:
    """Packed photos of noise in a file, as the decoder leaves them."""
    shape = (products * PHOTOS_EACH, size, size, 4)
    packed = np.memmap(folder / "pixels.u8", np.uint8, "w+", shape=shape)
    packed[:] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.repeat(np.arange(products), PHOTOS_EACH)
    return Labelled(packed, np.arange(len(labels)), labels, labels)


def compare(recipe: Recipe, data: Labelled, device: str, rounds: int) -> dict[str, float | str]:
    """Measure loop and bare steps in turns after one round of each that does not count."""
    team = Team(torch.device(device))
    network = new_network(recipe, len(np.unique(data.labels))).to(team.device).to(memory_format=torch.channels_last)
    run = Run(network, recipe, data, team, None)
    chosen = [np.arange(at, at + recipe.batch) for at in range(0, len(data.rows) - recipe.batch + 1, recipe.batch)]
    random = torch.Generator(team.device).manual_seed(0)
    size = size_at(recipe, recipe.epochs - 1)
    gathered = gathered_at(recipe, size)
    gathering = _timed(team, lambda: len(list(batches(data, chosen, gathered, team.device)))) / len(chosen)
    ready = list(batches(data, chosen, gathered, team.device))
    seen = [augment(batch.packed, recipe, random, size).contiguous(memory_format=torch.channels_last)
            for batch in ready]
    augmenting = _timed(team, lambda: [augment(batch.packed, recipe, random, size) for batch in ready]) / len(ready)
    paces: dict[str, list[float]] = {"loop": [], "bare": []}
    for turn in range(rounds + 1):
        row = run.epoch(min(turn, recipe.epochs - 1), None)
        set_mode(network, recipe, recipe.epochs - 1)
        seconds = _timed(team, lambda: [_bare_step(run, *pair) for pair in zip(seen, ready, strict=True)])
        if turn:
            paces["loop"].append(row["photos_per_s"])
            paces["bare"].append(len(ready) * recipe.batch / seconds)
    loop, bare = (float(np.median(paces[name])) for name in ("loop", "bare"))
    low, ratio, high = np.quantile(np.array(paces["loop"]) / np.array(paces["bare"]), [0.25, 0.5, 0.75]).tolist()
    step = recipe.batch / loop
    return {"loop": loop, "bare": bare, "ratio": ratio, "ratio_low": low, "ratio_high": high,
            "gathering": gathering / step, "augmentation": augmenting / step,
            "precision": "bf16" if run.bf16 else "fp32"}


def _bare_step(run: Run, pixels: Tensor, batch: Batch) -> None:
    with torch.autocast(run.team.device.type, torch.bfloat16, enabled=run.bf16):
        features = run.network.finished(run.pooled(pixels))
    run.descend(run.objective(features.float(), batch.labels, 0.5))


def _timed(team: Team, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if team.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
