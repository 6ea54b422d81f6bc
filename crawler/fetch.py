"""The wire: the one place that sends requests, politely (robots, pace, retries) and safely (guard, limits)."""

import codecs
import logging
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from bs4.dammit import EncodingDetector
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.retry import Retry

from catalogue.errors import FetchFailed, Forbidden, TooLarge
from crawler.addresses import AddressGuard
from crawler.deadlines import Deadlines
from crawler.pace import Pace, Stopped
from crawler.robots import MAX_BYTES, Robots, Rules, rules_from
from crawler.settings import CrawlSettings

MAX_REDIRECTS = 5
MAX_VALIDATOR = 280
_REDIRECT = (301, 302, 303, 307, 308)
_TRY_AGAIN = (429, 502, 503, 504)
_CHUNK = 65536
# What a label stands for on the web (WHATWG Encoding Standard): the larger set, which shops write under its name.
_AS_BROWSERS_READ = {"utf-8": "utf-8-sig", "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254",
                     "iso8859-11": "cp874", "tis-620": "cp874", "euc_kr": "cp949", "shift_jis": "cp932",
                     "gb2312": "gb18030", "gbk": "gb18030"}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """An answer: its final address after redirects, status, headers (lower-case names) and decoded body."""

    url: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def validator(self) -> str:
        """What the server can be asked with whether this answer still holds: its ETag, else its Last-Modified."""
        found = self.headers.get("etag") or self.headers.get("last-modified") or ""
        return found if len(found) <= MAX_VALIDATOR and found.isprintable() else ""

    @property
    def text(self) -> str:
        """The body as text, by the charset of the header, then the one declared in the page, then UTF-8."""
        header = requests.utils.get_encoding_from_headers(
            requests.structures.CaseInsensitiveDict(self.headers)) if "charset" in self.headers.get(
                "content-type", "").lower() else None
        declared = header or EncodingDetector.find_declared_encoding(self.body, is_html=True) or "utf-8"
        try:
            name = codecs.lookup(declared).name
            return self.body.decode(_AS_BROWSERS_READ.get(name, name), "replace")
        except (LookupError, UnicodeError):
            return self.body.decode("utf-8", "replace")


def _led_to(url: str, answer: Fetched) -> str:
    """Where a redirect leads; `FetchFailed` if that is no address."""
    location = answer.headers["location"]
    with suppress(UnicodeError):  # headers are read as Latin-1, and some servers write UTF-8
        location = location.encode("latin-1").decode()
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise FetchFailed(f"{url} leads to {location[:80]!r}, which is no address") from error


class Fetcher:
    """Sends GET requests; safe to share between threads. One fetcher serves one crawl."""

    def __init__(self, settings: CrawlSettings) -> None:
        self.settings = settings
        self.guard = AddressGuard(settings.allow_hosts)
        self.robots = Robots(self._robots_of)
        self.stop = threading.Event()
        self._pace = Pace(settings.concurrency)
        self._deadlines = Deadlines()
        self._adapter = _adapter(settings, self.guard, self._deadlines)
        self._headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "gzip, deflate"}

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._adapter.close()

    def get(self, url: str, limit: int, accept: str = "text/html,application/xhtml+xml,*/*;q=0.8",
            validator: str = "") -> Fetched:
        """Fetch a URL, whatever the status of the answer; the body is at most `limit` bytes once decoded.

        With the `validator` of an earlier answer, an unchanged one comes back as 304 without a body. Every address on
        the way, redirects too, is checked by guard and robots.txt. Raises `Forbidden` if they say no, `TooLarge` over
        the limit, `FetchFailed` if no whole answer came in time, `Stopped` once `stop` is set.
        """
        headers = {"Accept": accept, **_condition(validator)}
        for _ in range(MAX_REDIRECTS + 1):
            self.guard.check_url(url)
            rules = self.robots.rules(url)
            if rules.refusal:  # not for ever, as a rule would be: the next crawl asks again
                raise FetchFailed(f"{url} may not be fetched: {rules.refusal}")
            if not rules.allows(url):
                raise Forbidden(f"{url} may not be fetched: robots.txt of the shop disallows it")
            answer = self._patiently(url, limit, headers, max(self.settings.delay_s, rules.delay_s))
            if answer.status not in _REDIRECT or "location" not in answer.headers:
                return answer
            url = _led_to(url, answer)
        raise FetchFailed(f"{url} was reached by more than {MAX_REDIRECTS} redirects; the shop may refuse robots")

    def _patiently(self, url: str, limit: int, headers: dict[str, str], delay_s: float) -> Fetched:
        host = urlsplit(url).netloc
        for attempt in range(self.settings.retries + 1):
            with self._pace.turn(host, delay_s, self.stop):
                began = time.monotonic()
                try:
                    answer = self._once(url, limit, headers)
                except FetchFailed:  # a host that lets us wait in vain is a slow one
                    self._pace.answered(host, time.monotonic() - began, busy=False)
                    raise
            busy = answer.status in (429, 503)
            self._pace.answered(host, time.monotonic() - began, busy)
            if answer.status not in _TRY_AGAIN or attempt == self.settings.retries:
                break
            asked = min(_asked_wait(answer, 0.5 * 2**attempt), self.settings.max_retry_wait_s)
            if busy:
                self._pace.rest(host, asked)
            elif self.stop.wait(asked):
                raise Stopped
        return answer

    def _robots_of(self, url: str) -> Rules:
        first = url
        try:
            for _ in range(MAX_REDIRECTS + 1):
                self.guard.check_url(url)
                answer = self._once(url, MAX_BYTES, {"Accept": "text/plain,*/*;q=0.5"}, cut=True)
                if answer.status not in _REDIRECT or "location" not in answer.headers:
                    return rules_from(answer.status, answer.body)
                url = _led_to(url, answer)
        except Forbidden as error:
            if url == first:  # not the rules, the host itself is out of bounds
                raise
            return Rules(refusal=f"its robots.txt leads where nobody may go ({error})")
        except FetchFailed as error:
            return Rules(refusal=f"its robots.txt cannot be had ({error})")
        return Rules()

    def _once(self, url: str, limit: int, asked: dict[str, str], cut: bool = False) -> Fetched:
        deadline = time.monotonic() + self.settings.total_timeout_s
        try:
            # The adapter without a session: no cookies, no proxies or passwords from the environment, no redirects that
            # the guard has not seen.
            request = requests.Request("GET", url, {**self._headers, **asked}).prepare()
            with self._adapter.send(request, stream=True, timeout=self.settings.timeout_s) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                body = self._body(answer.raw, url, limit, deadline, cut or answer.status_code >= 400)
                return Fetched(url, answer.status_code, headers, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise FetchFailed(f"{url} could not be fetched: {_reason(error)}") from error

    def _body(self, raw: Any, url: str, limit: int, deadline: float, cut: bool) -> bytes:
        """Read as `_read`; hang up at the deadline, because a read of packed or chunked bytes need not return before
        it has something to give: the length of a chunk may drip, and so may gzip that holds nothing.
        """
        with self._deadlines.watching(raw.solesearch_socket, deadline - time.monotonic()) as late:
            try:
                body = _read(raw, url, limit, deadline, cut)
            except (urllib3.exceptions.HTTPError, OSError):
                if not late.is_set():
                    raise
        if late.is_set():  # half an answer may read like a whole one
            raise FetchFailed(f"{url} was still not complete when its time was up")
        return body


def _read(raw: Any, url: str, limit: int, deadline: float, cut: bool) -> bytes:
    """Read at most `limit` decoded bytes before the deadline; `cut` keeps the beginning of what is longer."""
    body = bytearray()
    # read1 returns after one read of the socket, so that what is dripped is given up without hanging up where it can.
    while chunk := raw.read1(min(_CHUNK, limit + 1 - len(body)), decode_content=True):
        body += chunk
        if len(body) > limit:
            if cut:
                return bytes(body[:limit])
            raise TooLarge(f"{url} is larger than {limit:,} bytes; the rest was not read")
        if time.monotonic() > deadline:
            raise FetchFailed(f"{url} was still not complete when its time was up")
    return bytes(body)


def _condition(validator: str) -> dict[str, str]:
    if not validator:
        return {}
    return {"If-None-Match" if '"' in validator else "If-Modified-Since": validator}


def _asked_wait(answer: Fetched, otherwise: float) -> float:
    """The seconds a busy server asks us to wait, as a number or a date; `otherwise` if it does not say."""
    try:
        return max(0.0, float(Retry().parse_retry_after(answer.headers["retry-after"])))
    except (KeyError, urllib3.exceptions.InvalidHeader, ValueError, OverflowError):  # no date, no number
        return otherwise


def _reason(error: BaseException) -> str:
    """The shortest true sentence of a nested network error."""
    while isinstance(error, requests.RequestException | urllib3.exceptions.MaxRetryError):
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return f"{type(error).__name__}: {str(error).rpartition('object at ')[2].partition('>: ')[2] or error}"


def _adapter(settings: CrawlSettings, guard: AddressGuard, deadlines: Deadlines) -> HTTPAdapter:
    # urllib3 tries again where no answer came; answers that ask for patience are `Fetcher._patiently`'s, because
    # urllib3 would first read such an answer to its end, however long it is.
    retry = Retry(total=settings.retries, backoff_factor=0.5, respect_retry_after_header=False)
    return _GuardedAdapter(guard, settings, deadlines, max_retries=retry, pool_maxsize=2 * settings.concurrency + 1)


class _GuardedAdapter(HTTPAdapter):
    """Makes urllib3 open its sockets through the guard; Host header, SNI and certificate stay those of the name."""

    def __init__(self, guard: AddressGuard, settings: CrawlSettings, deadlines: Deadlines, **options: Any) -> None:
        self._connections = _connection_classes(guard, settings.total_timeout_s, deadlines)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        plain, secure = self._connections
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }


def _connection_classes(guard: AddressGuard, total_s: float,
                        deadlines: Deadlines) -> tuple[type[HTTPConnection], type[HTTPSConnection]]:
    class Guarded(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            timeout = self.timeout if isinstance(self.timeout, int | float) else None
            try:
                return guard.connect(self._dns_host, self.port, timeout)
            except socket.gaierror as error:
                raise urllib3.exceptions.NameResolutionError(self.host, self, error) from error
            except OSError as error:
                raise urllib3.exceptions.NewConnectionError(self, str(error)) from error

        def getresponse(self) -> Any:
            connection = self.sock
            with deadlines.watching(connection, total_s) as late:
                answer: Any = super().getresponse()
            if late.is_set():  # half a header reads like a short one
                raise urllib3.exceptions.ProtocolError("its headers were still not complete when their time was up")
            answer.solesearch_socket = connection  # the body's reader may have to hang up, too
            return answer

    class GuardedSecure(Guarded, HTTPSConnection):
        pass

    return Guarded, GuardedSecure
