"""How fast a host is asked: spacing with jitter, a limit on requests at once, slowing down when the host struggles."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SLOW_S = 1.0
MAX_DELAY_S = 60.0
_SMOOTHING = 0.3
_CALMING = 0.9


class Stopped(Exception):
    """Raised out of a wait when the crawl is to end: what was being fetched stays to be fetched."""


@dataclass
class _Host:
    """What is known of one host. `latency_s` is a moving average, `penalty_s` what busy answers add to the delay."""

    turns: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0
    latency_s: float = 0.0
    penalty_s: float = 0.0


class Pace:
    """The pace of one crawl, whichever of its threads asks.

    A host that takes more than a second to answer is asked at most once in the time it takes (Scrapy's AutoThrottle
    with a target concurrency of one). Each answer 429 or 503 doubles what is added to the delay; good answers wear it
    down again.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, host: str, delay_s: float, stop: threading.Event) -> Iterator[None]:
        """Wait for one's turn to ask the host, and hold one of its places for the block; `Stopped` once `stop` is set.
        """
        known = self._host(host)
        with known.turns:
            with known.lock:
                delay = max(delay_s, known.latency_s if known.latency_s > SLOW_S else 0.0) + known.penalty_s
                start = max(time.monotonic(), known.free_at)
                known.free_at = start + min(delay, MAX_DELAY_S) * random.uniform(0.8, 1.2)
            if stop.is_set() or ((wait := start - time.monotonic()) > 0 and stop.wait(wait)):
                raise Stopped
            yield

    def answered(self, host: str, seconds: float, busy: bool) -> None:
        """Learn from an answer: how long it took to begin, and whether the host said it is too busy."""
        known = self._host(host)
        with known.lock:
            known.latency_s += _SMOOTHING * (seconds - known.latency_s)
            if busy:
                known.penalty_s = min(max(2 * known.penalty_s, 0.25), MAX_DELAY_S)
            elif known.penalty_s:
                known.penalty_s = known.penalty_s * _CALMING if known.penalty_s > 0.01 else 0.0

    def rest(self, host: str, seconds: float) -> None:
        """Nobody asks the host for so long, because it said so."""
        known = self._host(host)
        with known.lock:
            known.free_at = max(known.free_at, time.monotonic() + seconds)

    def _host(self, host: str) -> _Host:
        with self._lock:
            if host not in self._hosts:
                self._hosts[host] = _Host(threading.Semaphore(self._concurrency))
            return self._hosts[host]
