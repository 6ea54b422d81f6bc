"""`solesearch schedule`: crawls when they are due, adds to the index, retrains; survives restarts, never piles up."""

import logging
import signal
import threading
from types import FrameType

import click

from app.schedule import Schedule, check_schedules
from app.settings import read_settings
from app.wiring import open_stores
from catalogue.files import lock

TICK_S = 5.0


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, wait for it and exit: 1 if a job failed, 3 if one "
              "warned.")
@click.option("--tick", default=TICK_S, show_default=True, help="Seconds between looks at what is due.")
def schedule(once: bool, tick: float) -> None:
    """Crawl every shop by its schedule, add new photos to the live index, retrain by SOLESEARCH_RETRAIN.

    A shop's schedule is a line of its settings (`schedule = "30 3 * * *"` or `schedule = "6h"`). What was missed while
    nothing ran is made up for once; what is still running when it is due again is left to run.
    """
    logging.getLogger("app.schedule").setLevel(logging.INFO)
    stores = open_stores(read_settings())
    check_schedules(stores)
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with lock(stores.settings.data_dir / "locks" / "schedule.lock", "the schedule"), Schedule(stores) as running:
        if once:
            while running.tick() or running.busy:
                if stop.wait(0.5):
                    raise click.exceptions.Exit(130)
            raise click.exceptions.Exit(running.code)
        click.echo("the schedule is running; Ctrl-C ends it", err=True)
        while not stop.is_set():
            running.tick()
            stop.wait(tick)
