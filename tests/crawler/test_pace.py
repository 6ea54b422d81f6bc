"""The pace of requests and the moments that crawls are due."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from catalogue.errors import BadInput
from crawler.due import check_schedule, next_time
from crawler.pace import Pace, Stopped

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def asked(pace: Pace, count: int, delay_s: float, host: str = "shop.example") -> list[float]:
    """When each of `count` requests from several threads had its turn."""
    moments: list[float] = []

    def ask(_: int) -> None:
        with pace.turn(host, delay_s, threading.Event()):
            moments.append(time.monotonic())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(count)))
    return sorted(moments)


def test_requests_to_a_host_are_spaced_with_jitter() -> None:
    moments = asked(Pace(4), 6, 0.05)
    gaps = [after - before for before, after in pairwise(moments)]
    assert min(gaps) >= 0.03 and moments[-1] - moments[0] >= 5 * 0.05 * 0.8 - 0.02
    assert len({round(gap, 3) for gap in gaps}) > 1


def test_no_more_at_once_than_allowed_and_hosts_apart() -> None:
    pace, stop, inside, most = Pace(2), threading.Event(), [], []
    lock = threading.Lock()

    def ask(number: int) -> None:
        with pace.turn(f"host-{number % 2}", 0, stop):
            with lock:
                inside.append(number % 2)
                most.append(max(inside.count(0), inside.count(1)))
            time.sleep(0.01)
            with lock:
                inside.remove(number % 2)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, range(24)))
    assert max(most) == 2


def test_busy_answers_slow_down_and_good_ones_calm() -> None:
    pace = Pace(4)
    for _ in range(3):
        pace.answered("shop.example", 0.01, busy=True)
    host = pace._host("shop.example")
    assert host.penalty_s == 1.0
    for _ in range(100):
        pace.answered("shop.example", 0.01, busy=False)
    assert host.penalty_s == 0.0


def test_a_slow_host_is_asked_no_faster_than_it_answers() -> None:
    pace = Pace(4)
    for _ in range(30):
        pace.answered("shop.example", 3.0, busy=False)
    stop = threading.Event()
    with pace.turn("shop.example", 0, stop):
        pass
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped), pace.turn("shop.example", 0, stop):
        pass


def test_rest_keeps_everybody_away_until_stopped() -> None:
    pace, stop = Pace(4), threading.Event()
    pace.rest("shop.example", 3600)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped), pace.turn("shop.example", 0, stop):
        pass


@pytest.mark.parametrize(("schedule", "hours"), [("6h", 6), ("2d", 48), ("90m", 1.5)])
def test_intervals(schedule: str, hours: float) -> None:
    assert next_time(schedule, START, START) == START + timedelta(hours=hours)
    assert next_time(schedule, None, START) == START  # never crawled: at once


def test_cron_expressions_mean_the_wall_clock() -> None:
    due = next_time("30 3 * * *", START, START)
    assert due.astimezone().strftime("%H:%M") == "03:30" and START < due <= START + timedelta(days=1)
    assert next_time("30 3 * * *", START - timedelta(days=9), START) < START  # missed nine times: due once


@pytest.mark.parametrize("schedule", ["often", "61 * * * *", "0h", "* * *", "h6"])
def test_odd_schedules_are_refused(schedule: str) -> None:
    with pytest.raises(BadInput, match="no schedule"):
        check_schedule(schedule)


def test_a_day_that_never_comes_is_no_schedule() -> None:
    with pytest.raises(BadInput, match="no day that ever comes"):
        check_schedule("0 0 31 2 *")
    assert check_schedule("0 0 29 2 *")
