"""The demo shop's sitemaps: an index, the product pages with their pictures, and the other pages."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from demo.goods import Good
from demo.shop_pages import categories, category_path, photo_paths_of, product_path

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_IMAGES = "http://www.google.com/schemas/sitemap-image/1.1"


def sitemap_index(root: str) -> str:
    """The sitemap index."""
    children = "".join(
        f"<sitemap><loc>{root}/{name}</loc></sitemap>" for name in ("sitemap-pages.xml", "sitemap-products.xml")
    )
    return f'{_XML}<sitemapindex xmlns="{_SITEMAP}">{children}</sitemapindex>'


def sitemap_products(goods: Sequence[Good], root: str) -> str:
    """The sitemap of all product pages with their pictures."""
    urls = "".join(
        f"<url><loc>{escape(root + product_path(good))}</loc>"
        + "".join(
            f"<image:image><image:loc>{escape(root + path)}</image:loc></image:image>" for path in photo_paths_of(good)
        )
        + "</url>\n"
        for good in goods
    )
    return f'{_XML}<urlset xmlns="{_SITEMAP}" xmlns:image="{_IMAGES}">\n{urls}</urlset>'


def sitemap_pages(goods: Sequence[Good], root: str) -> str:
    """The sitemap of the front page and the categories."""
    paths = ["/", *(category_path(name) for name in categories(goods))]
    return (
        f'{_XML}<urlset xmlns="{_SITEMAP}">'
        + "".join(f"<url><loc>{escape(root + path)}</loc></url>" for path in paths)
        + "</urlset>"
    )
