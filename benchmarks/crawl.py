"""Pace and memory of a crawl beside Scrapy's, over the same large shop on loopback, in one run.

    python -m benchmarks.crawl [--listings 2000] [--photos 4] [--concurrency 8] [--padding 0] [--rounds 1] [--json]

Both crawl with equal concurrency, without delay, obey robots.txt, and store photo bytes as they come under their hash.
Scrapy (the extra `bench`) writes JSON lines; SoleSearch keeps its catalogue: it also decodes every photo, reads
pages by all its sources and commits each listing. Where its time goes is printed by process: writing (SQL),
fetching (HTTP), parsing pages and decoding photos, and starting those.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# SoleSearch begins its visiting process, and that its readers, through a process that has everything loaded.
_ROLES = {0: "writing", 2: "fetching", 4: "parsing and decoding"}


def main() -> None:
    """Run both crawlers, in turns, and print them side by side."""
    options = _options()
    rows: list[dict[str, Any]] = []
    with _shop(options) as url:
        for _ in range(options.rounds):
            for name, run in (("Scrapy", _scrapy), ("SoleSearch", _solesearch)):
                with tempfile.TemporaryDirectory() as folder:
                    rows.append({"crawler": name, **_timed(run(url, folder, options), folder, name)})
    for row in rows:
        print(f"{row['crawler']:11} {row['listings']:6d} listings {row['photos']:6d} photos  {row['seconds']:7.1f} s  "
              f"{row['listings'] / row['seconds']:7.1f} listings/s  peak {row['peak_mb']:6.0f} MB  "
              f"CPU {row['cpu_s']:6.1f} s")
        if row["crawler"] == "SoleSearch":
            print(" " * 12 + ", ".join(f"{role} {seconds:.1f} s" for role, seconds in row["cpu_by_process"].items()))
    best = {name: max(row["listings"] / row["seconds"] for row in rows if row["crawler"] == name)
            for name in ("Scrapy", "SoleSearch")}
    print(f"SoleSearch runs at {best['SoleSearch'] / best['Scrapy']:.2f} × Scrapy's pace")
    if options.json:
        print(json.dumps({"rows": rows, "ratio": best["SoleSearch"] / best["Scrapy"]}))


def _scrapy(url: str, folder: str, options: argparse.Namespace) -> list[str]:
    return [sys.executable, "-m", "benchmarks.scrapy_spider", url, folder, str(options.concurrency)]


def _solesearch(url: str, folder: str, options: argparse.Namespace) -> list[str]:
    return [sys.executable, "-m", "benchmarks.crawl_once", url, folder, str(options.concurrency)]


def _timed(command: list[str], folder: str, name: str) -> dict[str, Any]:
    """Run a crawler; what it found is counted from what it left, memory is that of all its processes together."""
    began = time.perf_counter()
    child = subprocess.Popen(command)
    peak, cpu = 0.0, dict[tuple[int, str], float]()
    while child.poll() is None:
        family = _family(child.pid)
        peak = max(peak, sum(_memory_mb(process) for process, _ in family))
        cpu.update({(process, _ROLES.get(depth, "starting")): _cpu_s(process) for process, depth in family})
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    if child.returncode:
        sys.exit(f"{name} ended with {child.returncode}")
    listings = Path(folder, "listings.jsonl").read_text().count("\n")
    photos = sum(1 for path in Path(folder, "photos").rglob("*") if path.is_file())
    return {"listings": listings, "photos": photos, "seconds": seconds, "peak_mb": peak,
            "cpu_s": sum(cpu.values()),
            "cpu_by_process": {role: sum(seconds for (_, its), seconds in cpu.items() if its == role)
                               for role in dict.fromkeys(role for _, role in cpu)}}


def _family(process: int, depth: int = 0) -> list[tuple[int, int]]:
    """A process and all that came of it, each with the number of its ancestors in the family (Linux)."""
    children: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, task.read_text().split())
    return [(process, depth), *(one for child in children for one in _family(child, depth + 1))]


def _cpu_s(process: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _memory_mb(process: int) -> float:
    """The process's own memory and its share of what it shares with others (proportional set size)."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


@contextmanager
def _shop(options: argparse.Namespace) -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.loopback_shop", "--listings", str(options.listings), "--photos",
         str(options.photos), "--padding", str(options.padding), "--side", str(options.side)],
        stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("listings", 2000), ("photos", 4), ("side", 480), ("concurrency", 8), ("padding", 0),
                          ("rounds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
