"""A large shop on loopback for benchmarks: every answer is made beforehand, so that serving costs next to nothing.

    python -m benchmarks.loopback_shop --listings 2000 --photos 4 --side 480 [--padding 0]

Prints its address, then serves until it is ended. Pages are the demo shop's own, larger by
`--padding` kilobytes of script.
"""

import argparse
import asyncio
import io
from pathlib import Path

from PIL import Image

from demo.goods import Good
from demo.pictures import PHOTOS
from demo.shop import ROBOTS
from demo.shop_pages import photo_paths_of, product, product_path
from demo.shop_sitemaps import sitemap_index, sitemap_pages, sitemap_products

_BRANDS = ("Norrvik", "Tavero", "Kestrin", "하늘결")


def main() -> None:
    """Make the shop and serve it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listings", type=int, default=2000)
    parser.add_argument("--photos", type=int, default=4, help="photos a listing")
    parser.add_argument("--side", type=int, default=480, help="pixels along a photo's side")
    parser.add_argument("--padding", type=int, default=0, help="kilobytes added to every page")
    options = parser.parse_args()
    asyncio.run(_serve(options.listings, options.photos, options.side, options.padding))


def goods_of(listings: int, photos: int) -> list[Good]:
    """Shoes in number; their photos are names only."""
    sizes = tuple((str(220 + 10 * step), step % 3 > 0) for step in range(8))
    return [Good(f"shoe-{n}", f"Runner {n}", _BRANDS[n % 4], "red", f"BM-{n:05d}-100", f"m{n // 3}", "runner",
                 str(50_000 + 10 * n), "KRW", sizes, tuple(Path(f"shoe-{n}/{view}.jpg") for view in range(photos)))
            for n in range(listings)]


def pictures(number: int, side: int) -> list[bytes]:
    """Some of the demo's photos as JPEGs of this size."""
    found = sorted(PHOTOS.glob("shop/*/*.jpg"))[:number]
    made = []
    for path in found:
        buffer = io.BytesIO()
        with Image.open(path) as image:
            image.convert("RGB").resize((side, side)).save(buffer, "JPEG", quality=85)
        made.append(buffer.getvalue())
    return made


def answers(root: str, listings: int, photos: int, side: int, padding: int) -> dict[str, tuple[str, bytes]]:
    """Path → (content type, body) of the whole shop; photos are functions of their path instead, to save memory."""
    goods = goods_of(listings, photos)
    shown = goods[:8]  # what a page's menu and its related shoes are made of
    filler = f"<script>/*{'x' * 1024 * padding}*/</script></body>" if padding else "</body>"
    pages = {product_path(good): ("text/html; charset=utf-8",
                                  product([*shown, good], good, root).replace("</body>", filler).encode())
             for good in goods}
    return pages | {
        "/": ("text/html; charset=utf-8", b"<title>Large shop</title><h1>Shoes</h1>"),
        "/robots.txt": ("text/plain", ROBOTS.format(root=root).encode()),
        "/sitemap.xml": ("application/xml", sitemap_index(root).encode()),
        "/sitemap-pages.xml": ("application/xml", sitemap_pages(shown, root).encode()),
        "/sitemap-products.xml": ("application/xml", sitemap_products(goods, root).encode())}


async def _serve(listings: int, photos: int, side: int, padding: int) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    root = f"http://127.0.0.1:{port}"
    known = answers(root, listings, photos, side, padding)
    paths = {path: number for number, path in enumerate(
        path for good in goods_of(listings, photos) for path in photo_paths_of(good))}
    bases = pictures(12 * photos, side)

    def answer(path: str) -> bytes:
        if path in paths:
            # A comment of its own makes every photo's bytes, and so its name, unlike all others.
            number = paths[path]
            base, mark = bases[number % len(bases)], b"\xff\xfe\x00\x0a%08d" % number
            kind, body = "image/jpeg", base[:2] + mark + base[2:]
        elif path in known:
            kind, body = known[path]
        else:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind.encode(), len(body)) + body

    class Connection(asyncio.Protocol):
        """Answers requests that come one after the other on a connection."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.buffer = transport, b""

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            while b"\r\n\r\n" in self.buffer:
                head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
                self.transport.write(answer(head.split(b" ", 2)[1].decode()))

    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    print(f"{root}/", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    main()
