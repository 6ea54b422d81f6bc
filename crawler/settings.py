"""What a crawl is told: who it says it is, how fast it goes, how much it takes, where it may go."""

from dataclasses import dataclass, replace

from catalogue.errors import BadInput
from crawler.shop_settings import Limits

ROBOT = "SoleSearch"


@dataclass(frozen=True)
class CrawlSettings:
    """Settings of one crawl; times in seconds unless the name says minutes, sizes in bytes.

    `contact` (an address or a page) is shown to shops. `delay_s` is the pause between two requests to one host; a
    longer Crawl-delay in robots.txt wins, and a struggling host is asked more slowly still. `concurrency` limits the
    requests to one host at once. `timeout_s` bounds one wait for the server, `total_timeout_s` a whole download.
    `max_pages`, `max_items` (listings), `max_minutes` and `max_errors` (addresses in a row that cannot be had) end a
    crawl early, `max_depth` bounds the links from where it began. A photo that is known by its address is asked for
    again, with its validator, after `photo_days`. `max_store_bytes` of photos on disk refuse a crawl; 0 is no limit.
    `allow_hosts` names the `host:port` pairs that may be visited although their addresses are private.
    """

    contact: str = ""
    delay_s: float = 1.0
    timeout_s: float = 20.0
    total_timeout_s: float = 90.0
    retries: int = 2
    max_retry_wait_s: float = 30.0
    concurrency: int = 4
    max_pages: int = 20_000
    max_items: int = 50_000
    max_minutes: float = 240.0
    max_errors: int = 20
    max_depth: int = 12
    max_page_bytes: int = 8_000_000
    max_sitemap_bytes: int = 50_000_000
    max_feed_bytes: int = 200_000_000
    max_photo_bytes: int = 20_000_000
    max_photos: int = 20
    photo_days: float = 7.0
    max_store_bytes: int = 0
    allow_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if any(ord(letter) < 32 for letter in self.contact) or not self.contact.isascii():
            raise BadInput(f"the crawl contact {self.contact!r} must be one line of plain ASCII")
        for name in ("delay_s", "retries", "max_retry_wait_s", "max_depth", "photo_days", "max_store_bytes"):
            if getattr(self, name) < 0:
                raise BadInput(f"the crawl setting {name} cannot be negative, as {getattr(self, name)} is")
        for name in ("timeout_s", "total_timeout_s", "concurrency", "max_pages", "max_items", "max_minutes",
                     "max_errors", "max_page_bytes", "max_sitemap_bytes", "max_feed_bytes", "max_photo_bytes",
                     "max_photos"):
            if getattr(self, name) <= 0:
                raise BadInput(f"the crawl setting {name} must be more than 0, not {getattr(self, name)}")
        for pair in self.allow_hosts:
            if not pair.rpartition(":")[0] or not pair.rpartition(":")[2].isdigit():
                raise BadInput(f"allowed hosts are written host:port (127.0.0.1:8000), not {pair!r}")

    def within(self, limits: Limits) -> "CrawlSettings":
        """These settings with a shop's own limits in the place of the general ones; a shop never goes faster."""
        given = limits.model_dump(exclude_none=True)
        named = {"pages": "max_pages", "items": "max_items", "minutes": "max_minutes", "errors": "max_errors",
                 "depth": "max_depth", "photos": "max_photos"}
        changes = {named[name]: value for name, value in given.items() if name in named}
        if limits.delay_s is not None:
            changes["delay_s"] = max(limits.delay_s, self.delay_s)
        if limits.concurrency is not None:
            changes["concurrency"] = min(limits.concurrency, self.concurrency)
        return replace(self, **changes)

    @property
    def user_agent(self) -> str:
        """How the crawler names itself, and where to complain."""
        return f"{ROBOT}/1.0 (+{self.contact})" if self.contact else f"{ROBOT}/1.0"
