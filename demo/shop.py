"""The demo shop: a small website on loopback that sells the shoes of a products.csv (python -m demo.shop)."""

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from catalogue.errors import BadInput, SoleSearchError
from demo import shop_pages, shop_sitemaps
from demo.goods import Good, read_goods

T = TypeVar("T")
ROBOTS = "User-agent: *\nDisallow: /cart\nDisallow: /search\n\nSitemap: {root}/sitemap.xml\n"


def make_shop(goods: Sequence[Good]) -> FastAPI:
    """The website that sells these goods."""
    shop = FastAPI(title=shop_pages.NAME, docs_url=None, redoc_url=None, openapi_url=None)
    by_slug = {good.slug: good for good in goods}
    pictures = {(good.slug, photo.name): photo for good in goods for photo in good.photos}

    @shop.get("/", response_class=HTMLResponse)
    def front() -> str:
        return shop_pages.front(goods)

    @shop.get("/shop/{name}", response_class=HTMLResponse)
    def category(name: str, page: int = 1) -> str:
        return _found(shop_pages.category(goods, name, page))

    @shop.get("/products/{slug}", response_class=HTMLResponse)
    def product(slug: str, request: Request) -> str:
        good = by_slug.get(slug)
        return shop_pages.product(goods, _found(good), _root(request))

    @shop.get("/pictures/{slug}/{name}")
    def picture(slug: str, name: str) -> Response:
        return FileResponse(_found(pictures.get((slug, name))), headers={"Cache-Control": "public, max-age=3600"})

    @shop.get("/search", response_class=HTMLResponse)
    def search(q: str = "") -> str:
        return shop_pages.search(goods, q)

    @shop.get("/cart", response_class=HTMLResponse)
    def cart() -> str:
        return shop_pages.cart(goods)

    @shop.get("/robots.txt", response_class=PlainTextResponse)
    def robots(request: Request) -> str:
        return ROBOTS.format(root=_root(request))

    @shop.get("/sitemap.xml")
    def sitemap(request: Request) -> Response:
        return _xml(shop_sitemaps.sitemap_index(_root(request)))

    @shop.get("/sitemap-pages.xml")
    def sitemap_pages(request: Request) -> Response:
        return _xml(shop_sitemaps.sitemap_pages(goods, _root(request)))

    @shop.get("/sitemap-products.xml")
    def sitemap_products(request: Request) -> Response:
        return _xml(shop_sitemaps.sitemap_products(goods, _root(request)))

    return shop


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the port (0: any free one); `BadInput` if it is taken."""
    # asyncio sends answers without delay only over sockets that say they are TCP.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BadInput(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose another with --port"
        ) from error
    return listener


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 0 when stopped, 1 when the shop cannot open."""
    parser = argparse.ArgumentParser(prog="python -m demo.shop", description=__doc__)
    parser.add_argument("--folder", type=Path, help="folder with a products.csv; the demo's own pictures if left out")
    parser.add_argument("--sets", default="", help="sets of the products.csv to sell, separated by commas")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100, help="0 takes any free port")
    options = parser.parse_args(argv)
    try:
        goods = _goods(options.folder, [name for name in options.sets.split(",") if name])
        with listen(options.host, options.port) as listener:
            address = f"http://{options.host}:{listener.getsockname()[1]}/"
            print(f"{shop_pages.NAME}: {len(goods)} shoes at {address}", flush=True)
            uvicorn.Server(uvicorn.Config(make_shop(goods), log_level="warning")).run(sockets=[listener])
    except SoleSearchError as error:
        print(f"demo.shop: {error}", file=sys.stderr)
        return 1
    return 0


def _goods(folder: Path | None, sets: Sequence[str]) -> list[Good]:
    if folder is None:
        from demo.pictures import PHOTOS

        goods = read_goods(PHOTOS, sets or ["shop"], extras=True)
    else:
        goods = read_goods(folder, sets)
    if not goods:
        raise BadInput(f"{folder or 'the demo'} has no products in the sets {', '.join(sets) or '(all)'}; see --sets")
    return goods


def _root(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml")


def _found(value: T | None) -> T:
    """The value, or the shop's answer to addresses it does not know."""
    if not value:
        raise HTTPException(404, "There is no such page here.")
    return value


if __name__ == "__main__":
    sys.exit(main())
