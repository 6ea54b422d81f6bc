"""What a crawl tells: its progress while it runs, its report when it ends."""

from dataclasses import dataclass, field

OUTCOMES = ("new", "changed", "same", "gone", "not_a_product", "duplicate", "forbidden", "failed")


@dataclass(frozen=True)
class CrawlProgress:
    """Where a crawl stands: addresses visited, those known that are still to visit, the last address."""

    visited: int
    pending: int
    url: str


@dataclass(frozen=True)
class CrawlReport:
    """How a run ended. Counters are the whole run's, however often it was interrupted and resumed.

    `counters` counts pages by outcome (`OUTCOMES`), listings that vanished (`delisted`), sitemaps, and photos
    (`photos_new` downloaded, `photos_known` not asked for again, `photos_failed`, `photos_bad` no pictures).
    `state` is `done` (all of the shop was seen), `partial` (a budget ran out, or parts could not be had) or `failed`
    (nothing could be had); `stopped` says why it stopped early, in which case the next crawl goes on from there.
    """

    run_id: int
    state: str
    complete: bool
    counters: dict[str, int]
    errors: tuple[str, ...] = ()
    stopped: str = ""
    pages: int = 0
    seconds: float = 0.0


@dataclass
class Tally:
    """Counters of one visit, added to the run's in the same transaction as what they count."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, number: int = 1) -> None:
        """Count something."""
        if number:
            self.counts[name] = self.counts.get(name, 0) + number
