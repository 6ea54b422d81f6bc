"""The pace of requests and the moments that crawls are due."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest

from catalogue.errors import BadInput
from crawler.due import check_schedule, next_time
from crawler.pace import Pace, Stopped

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Noted(threading.Event):
    """Notes for how long it would have been waited for, and keeps nobody waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def test_requests_to_a_host_are_spaced_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.pace.time", SimpleNamespace(monotonic=lambda: 100.0))
    pace, stop = Pace(4), Noted()

    def ask(_: int) -> None:
        with pace.turn("shop.example", 10, stop):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(6)))
    gaps = [after - before for before, after in pairwise([0.0, *sorted(stop.waits)])]
    assert len(gaps) == 5 and all(8 <= round(gap, 6) <= 12 for gap in gaps) and len(set(gaps)) > 1


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
