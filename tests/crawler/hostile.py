"""A shop on loopback that behaves until it is told not to: what it then answers, path by path, is as bad as it gets."""

import gzip
import io
import json
import random
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

Handler = BaseHTTPRequestHandler
Behave = Callable[[Handler], None]
MB = 1_000_000
HTML = "text/html; charset=utf-8"


@dataclass
class HostileShop:
    """A shop of listings with photos. `trouble` maps a path, or the beginning of paths (`/c*`), to what happens there.

    `large` listings have pages that are read in a process of their own; those of `twins` share one style code.
    """

    slugs: tuple[str, ...]
    photos: int = 1
    delay_s: float = 0.0
    large: frozenset[str] = frozenset()
    twins: frozenset[str] = frozenset()
    trouble: dict[str, Behave] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}{path}"

    def answer(self, handler: Handler) -> None:
        """Misbehave where there is trouble, else be a shop."""
        path = handler.path
        self.asked[path] += 1
        if self.delay_s:
            time.sleep(random.uniform(0, 2 * self.delay_s))
        starts = sorted((key for key in self.trouble if key.endswith("*") and path.startswith(key[:-1])), key=len)
        behave = self.trouble.get(path) or (self.trouble[starts[-1]] if starts else None)
        if behave is not None:
            behave(handler)
        elif path == "/robots.txt":
            give(b"User-agent: *\nAllow: /\n", "text/plain")(handler)
        elif path == "/sitemap.xml":
            give(self.sitemap(*self.slugs), "application/xml")(handler)
        elif path.startswith("/p/") and path[3:] in self.slugs:
            give(self.page(path[3:]))(handler)
        elif path.startswith("/i/"):
            give(picture(path), "image/jpeg")(handler)
        else:
            give(b"nothing here", status=404)(handler)

    def sitemap(self, *slugs: str) -> bytes:
        return urlset(*(self.url(f"/p/{slug}") for slug in slugs))

    def page(self, slug: str, price: int = 5, more: str = "") -> bytes:
        """A product page; the same twice."""
        data = {"@type": "Product", "name": f"Shoe {slug}", "brand": "Norrvik",
                "mpn": "NK-777" if slug in self.twins else "",
                "image": [f"/i/{slug}-{number}.jpg" for number in range(self.photos)],
                "offers": {"price": price, "priceCurrency": "USD"}}
        padding = "<p>A fine shoe for every day.</p>" * 3000 if slug in self.large else ""
        return (f'<title>Shoe {slug}</title><script type="application/ld+json">{json.dumps(data)}</script>'
                f"<h1>Shoe {slug}</h1>{more}{padding}").encode()


@contextmanager
def opened(shop: HostileShop) -> Iterator[HostileShop]:
    """Serve the shop; at the end, answers that drip or never end are cut off."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with suppress(OSError):
                shop.answer(self)
                return
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that hang up are what this is about

    server = Server(("127.0.0.1", shop.port), Answering)
    shop.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def picture(name: str, side: int = 96) -> bytes:
    """A small photo of its own for every name, too different for any two to be taken for copies."""
    draw = random.Random(name)
    image = Image.new("RGB", (8, 8))
    image.putdata([(draw.randrange(256), draw.randrange(256), draw.randrange(256)) for _ in range(64)])
    out = io.BytesIO()
    image.resize((side, side), Image.Resampling.NEAREST).save(out, "JPEG")
    return out.getvalue()


def huge_png(side: int = 20_000) -> bytes:
    """A few bytes that claim to be a picture of 400 megapixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks)


def urlset(*urls: str) -> bytes:
    return ("<urlset>" + "".join(f"<url><loc>{url}</loc></url>" for url in urls) + "</urlset>").encode()


def sitemap_index(*urls: str) -> bytes:
    return ("<sitemapindex>" + "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
            + "</sitemapindex>").encode()


def give(body: bytes | str, kind: str = HTML, status: int = 200, **headers: str) -> Behave:
    """An answer as it should be, in form at least."""
    data = body.encode() if isinstance(body, str) else body

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return behave


def redirect(to: str, **headers: str) -> Behave:
    return give(b"", status=302, Location=to, **headers)


def raw(start: bytes, then: Callable[[], bytes] = lambda: b"", pause_s: float = 0.0, most: int = 400 * MB) -> Behave:
    """Bytes as they are, then more of them until nobody listens any more or there were `most`."""

    def behave(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        sent = 0
        while sent < most and (more := then()):
            handler.wfile.write(more)
            sent += len(more)
            if pause_s:
                handler.wfile.flush()
                time.sleep(pause_s)

    return behave


def drip(start: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n",
         drop: bytes = b"x") -> Behave:
    """A byte now and then: no single wait is long."""
    return raw(start, lambda: drop, pause_s=0.05, most=2000)


def endless(kind: str = HTML, piece: bytes = b"<p>shoes and more shoes</p>", start: bytes = b"",
            status: int = 200) -> Behave:
    """400 megabytes whose length nobody told."""
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\n\r\n".encode()
    return raw(head + start, lambda: piece * (65_536 // len(piece)))


DRIPPING_HEADERS = drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")
# Neither ever yields a byte of the body: the length of a chunk that does not end, the name in a gzip header.
DRIPPING_CHUNKS = drip(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n1;")
DRIPPING_GZIP = drip(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
                     b"\x1f\x8b\x08\x08\0\0\0\0\0\x03")
EMPTY_GZIPS = raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n",
                  lambda: gzip.compress(b"", mtime=0) * 400, most=10**12)


def hang_up(handler: Handler) -> None:
    """The shop dies in the middle of an answer."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n<title>Sh")
    handler.connection.shutdown(socket.SHUT_RDWR)


def bomb(kind: str, inside: bytes = b"\0", megabytes: int = 200) -> Behave:
    """A small gzipped answer that becomes a large one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(inside * (MB // len(inside))) for _ in range(megabytes)) + packer.flush()
    return give(packed, kind, Content_Encoding="gzip")
