"""What a host's robots.txt allows, by RFC 9309: parsing, and a cache of rules by origin."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from protego import Protego

from crawler.settings import ROBOT

MAX_AGE_S = 24 * 3600
RETRY_AGE_S = 600
MAX_BYTES = 512 * 1024
MAX_CRAWL_DELAY_S = 60.0


@dataclass(frozen=True)
class Rules:
    """The rules of one origin. `parsed` is None where everything is allowed, or, with a `refusal`, nothing is."""

    parsed: Protego | None = None
    refusal: str = ""

    def allows(self, url: str) -> bool:
        """Whether the robot may fetch the URL."""
        if self.refusal:
            return False
        return self.parsed is None or bool(self.parsed.can_fetch(url, ROBOT))

    @property
    def delay_s(self) -> float:
        """The Crawl-delay asked for, in seconds, at most a minute."""
        delay = self.parsed.crawl_delay(ROBOT) if self.parsed is not None else None
        return min(max(float(delay or 0), 0.0), MAX_CRAWL_DELAY_S)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        """The sitemaps it names."""
        return tuple(self.parsed.sitemaps) if self.parsed is not None else ()


def rules_from(status: int, body: bytes) -> Rules:
    """Read an answered robots.txt: 2xx is parsed, 4xx allows all, 429 and 5xx forbid all until asked again."""
    if status == 429 or status >= 500:
        return Rules(refusal=f"its robots.txt answers {status}, which forbids crawling for now")
    if not 200 <= status < 300:
        return Rules()
    return Rules(Protego.parse(body[:MAX_BYTES].decode("utf-8-sig", errors="replace")))


class Robots:
    """Rules by origin, asked for once and kept at most a day (ten minutes if they could not be had)."""

    def __init__(self, ask: Callable[[str], Rules]) -> None:
        self._ask = ask
        self._known: dict[str, tuple[float, Rules]] = {}
        self._asking: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def rules(self, url: str) -> Rules:
        """The rules for a URL's origin; `ask` is called with the address of robots.txt if they are not known."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc.lower()}"
        with self._lock:
            asking = self._asking.setdefault(origin, threading.Lock())
        with asking:  # a host that does not answer keeps only those waiting that want something of it
            asked_at, rules = self._known.get(origin, (float("-inf"), Rules()))
            age = RETRY_AGE_S if rules.refusal else MAX_AGE_S
            if time.monotonic() - asked_at > age:
                rules = self._ask(origin + "/robots.txt")
                self._known[origin] = (time.monotonic(), rules)
        return rules
