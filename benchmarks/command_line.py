"""What the benchmarks' command lines share: the folder of real photos, and a line of each epoch on standard error."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from training.loop import Step


def photo_folder(parser: argparse.ArgumentParser) -> Path:
    """The shoes of SOLESEARCH_TEST_PHOTOS, for a benchmark that was told no --photos; a usage error if it is unset."""
    folder = os.environ.get("SOLESEARCH_TEST_PHOTOS")
    if not folder:
        parser.error("name a folder with --photos, or set SOLESEARCH_TEST_PHOTOS")
    return Path(folder) / "shoes"


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add what every benchmark takes that trains a network: its photos, recipe and threads, and --json."""
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true")


def say_epochs(what: str = "") -> Callable[[Step], None]:
    """Tell of each epoch that ends, beginning with `what` is trained."""
    def step(now: Step) -> None:
        if now.step == now.steps:
            print(f"{what}epoch {now.epoch}/{now.epochs} loss {now.loss:.3f} {now.photos_per_s:.0f} photos/s",
                  file=sys.stderr, flush=True)
    return step
