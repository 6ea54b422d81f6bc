"""What a crawl is told: who it says it is, how fast it goes, how much it takes, where it may go."""

from dataclasses import dataclass

from catalogue.errors import BadInput

ROBOT = "SoleSearch"


@dataclass(frozen=True)
class CrawlSettings:
    """Settings of one crawl; times in seconds unless the name says minutes, sizes in bytes.

    `contact` (an address or a page) is shown to shops. `delay_s` is the pause between two requests to one host; a
    longer Crawl-delay in robots.txt wins. `timeout_s` bounds one wait for the server, `total_timeout_s` a whole
    download. `allow_hosts` names the `host:port` pairs that may be visited although their addresses are private.
    """

    contact: str = ""
    delay_s: float = 1.0
    timeout_s: float = 20.0
    total_timeout_s: float = 90.0
    retries: int = 2
    max_retry_wait_s: float = 30.0
    max_pages: int = 5000
    max_minutes: float = 60.0
    max_page_bytes: int = 8_000_000
    max_sitemap_bytes: int = 50_000_000
    max_photo_bytes: int = 20_000_000
    max_photos: int = 20
    photo_threads: int = 4
    allow_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if any(ord(letter) < 32 for letter in self.contact) or not self.contact.isascii():
            raise BadInput(f"the crawl contact {self.contact!r} must be one line of plain ASCII")
        if self.delay_s < 0 or self.retries < 0 or self.max_retry_wait_s < 0:
            raise BadInput("the crawl's delay, retries and longest retry wait cannot be negative")
        for name in ("timeout_s", "total_timeout_s", "max_pages", "max_minutes", "max_page_bytes",
                     "max_sitemap_bytes", "max_photo_bytes", "max_photos", "photo_threads"):
            if getattr(self, name) <= 0:
                raise BadInput(f"the crawl setting {name} must be more than 0, not {getattr(self, name)}")
        for pair in self.allow_hosts:
            if not pair.rpartition(":")[0] or not pair.rpartition(":")[2].isdigit():
                raise BadInput(f"allowed hosts are written host:port (127.0.0.1:8000), not {pair!r}")

    @property
    def user_agent(self) -> str:
        """How the crawler names itself, and where to complain."""
        return f"{ROBOT}/1.0 (+{self.contact})" if self.contact else f"{ROBOT}/1.0"
