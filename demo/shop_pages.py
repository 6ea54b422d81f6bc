"""The demo shop's pages: goods in, HTML out."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from demo.goods import Good

NAME = "Solely Shoes"
PER_PAGE = 24
_SIGNS = {"KRW": "₩", "USD": "$", "EUR": "€", "GBP": "£"}
_STYLE = """
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,"Noto Sans KR",sans-serif;color:#1c1c1e;
background:#fafaf8}
a{color:inherit;text-decoration:none}header,main,footer{max-width:1100px;margin:0 auto;padding:0 20px}
header{display:flex;gap:28px;align-items:center;padding:20px;border-bottom:1px solid #e4e2dc}
.brandmark{font-weight:800;font-size:22px;letter-spacing:-.02em;margin-right:auto}
header nav{display:flex;gap:18px;flex-wrap:wrap}
h1{font-size:28px;margin:28px 0 6px}h2{font-size:20px;margin:44px 0 14px}.quiet{color:#6f6c66;font-size:14px}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:22px;padding:0;list-style:none}
.card{background:#fff;border-radius:12px;overflow:hidden;border:1px solid #ecebe6}.card:hover{border-color:#b9b5aa}
.card img,.card .nothing{width:100%;aspect-ratio:1;object-fit:contain;background:#fff;display:block}
.card div{padding:10px 14px 14px}.nothing{display:grid;place-items:center;color:#a5a198}
.product{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:44px;margin-top:28px}
.product-gallery{display:grid;grid-template-columns:1fr 1fr;gap:12px;align-content:start}
.product-gallery img,.product-gallery .nothing{width:100%;aspect-ratio:1;object-fit:contain;
background:#fff;border-radius:12px}
.price{font-size:24px;font-weight:700;margin:12px 0}.sizes{
display:flex;flex-wrap:wrap;gap:8px;padding:0;list-style:none}
.sizes li{border:1px solid #1c1c1e;border-radius:8px;padding:6px 12px}.sizes .out{
color:#b6b2a8;border-color:#dddad2;
text-decoration:line-through}.sold{color:#b3261e;font-weight:600}.pages{display:flex;gap:14px;margin:32px 0}
footer{margin-top:60px;padding:24px 20px 48px;
color:#6f6c66;font-size:14px;border-top:1px solid #e4e2dc}
@media(max-width:720px){.product{grid-template-columns:1fr}}
"""


def front(goods: Sequence[Good]) -> str:
    """The front page: every category with its first shoes."""
    blocks = "".join(
        f'<h2><a href="{category_path(name)}">{escape(name.capitalize())}</a></h2>{_grid(shoes[:4])}'
        for name, shoes in categories(goods).items()
    )
    return _page(
        NAME, f'<h1>Shoes, plainly</h1><p class="quiet">{len(goods)} shoes</p>{blocks}', goods
    )


def category(goods: Sequence[Good], name: str, number: int) -> str:
    """Page `number` (from 1) of a category; empty text if there is no such page."""
    shoes = categories(goods).get(name, [])
    last = -(-len(shoes) // PER_PAGE)
    if not 1 <= number <= last:
        return ""
    links = "".join(
        f'<a href="{category_path(name)}?page={page}"{" aria-current=page" if page == number else ""}>{page}</a>'
        for page in range(1, last + 1)
    )
    paging = f'<nav class="pages" aria-label="Pages">{links}</nav>' if last > 1 else ""
    shown = shoes[(number - 1) * PER_PAGE : number * PER_PAGE]
    return _page(
        f"{name.capitalize()} | {NAME}",
        f'<h1>{escape(name.capitalize())}</h1><p class="quiet">{len(shoes)} shoes</p>{_grid(shown)}{paging}',
        goods,
    )


def search(goods: Sequence[Good], words: str) -> str:
    """The shoes whose brand, name or colour hold all the words."""
    wanted = words.lower().split()
    found = [
        good
        for good in goods
        if wanted and all(word in f"{good.brand} {good.name} {good.colour}".lower() for word in wanted)
    ]
    return _page(
        f"Search | {NAME}", f"<h1>{len(found)} shoes for “{escape(words)}”</h1>{_grid(found[:PER_PAGE])}", goods
    )


def cart(goods: Sequence[Good]) -> str:
    """The cart, which is always empty."""
    return _page(f"Cart | {NAME}", "<h1>Your cart is empty</h1><p>This shop sells pictures, not shoes.</p>", goods)


def product(goods: Sequence[Good], good: Good, root: str) -> str:
    """A product page with JSON-LD, its gallery, and pictures of other shoes that one may also like."""
    gallery = (
        "".join(
            f'<img src="{photo}" alt="{escape(_full_name(good))}, photo {number}">'
            for number, photo in enumerate(photo_paths_of(good), 1)
        )
        or '<div class="nothing">no photo yet</div>'
    )
    sizes = "".join(f"<li{'' if there else ' class=out'}>{size}</li>" for size, there in good.sizes)
    state = "" if good.available else '<p class="sold">Sold out</p>'
    colours = [one for one in goods if good.model_group and one.model_group == good.model_group and one is not good]
    block = f"<h2>Other colours</h2>{_grid(colours, 'colourways')}" if colours else ""
    data = json.dumps(structured(good, root), ensure_ascii=False, indent=1).replace("<", "\\u003c")
    place = goods.index(good)
    others = [goods[(place + step) % len(goods)] for step in (5, 11, 17, 23)]
    others = list(dict.fromkeys(one for one in others if one is not good and one not in colours))
    return _page(
        f"{_full_name(good)} | {NAME}",
        f"""
<div class="product"><div class="product-gallery">{gallery}</div>
<div><p class="quiet"><a href="{category_path(good.category)}">{escape(good.category.capitalize())}</a></p>
<h1>{escape(good.name)}</h1><p>{escape(" · ".join(filter(None, (good.brand, good.colour))))}</p>
<p class="price">{price_text(good)}</p>{state}<p class="quiet">Size, mm</p><ul class="sizes">{sizes}</ul>
<p class="quiet">{f"Style {escape(good.sku)}" if good.sku else ""}</p></div></div>
{block}<section class="related-products"><h2>You may also like</h2>{_grid(others)}</section>""",
        goods,
        f'<link rel="canonical" href="{root}{product_path(good)}">\n<meta property="og:type" content="product">\n'
        f'<script type="application/ld+json">\n{data}\n</script>',
    )


def structured(good: Good, root: str) -> dict[str, object]:
    """The product as schema.org knows it: size by size, and as one colourway of its model where it has one."""
    offers: list[dict[str, object]] = [
        {
            "@type": "Offer",
            "size": size,
            "availability": f"https://schema.org/{'InStock' if there else 'OutOfStock'}",
            **({"price": good.price, "priceCurrency": good.currency} if good.price else {}),
        }
        for size, there in good.sizes
    ]
    model = (
        {
            "inProductGroupWithID": good.model_group,
            "isVariantOf": {
                "@type": "ProductGroup",
                "productGroupID": good.model_group,
                "name": good.name,
                "variesBy": "https://schema.org/color",
            },
        }
        if good.model_group
        else {}
    )
    told = {
        "brand": {"@type": "Brand", "name": good.brand} if good.brand else None,
        "color": good.colour,
        "sku": good.sku,
        "mpn": good.sku,
        "category": good.category,
        "image": [root + path for path in photo_paths_of(good)],
    }
    return {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": good.name,
        "url": root + product_path(good),
        **{key: value for key, value in told.items() if value},
        **model,
        "offers": offers,
    }


def categories(goods: Sequence[Good]) -> dict[str, list[Good]]:
    """The goods by category, both in the order of the goods."""
    found: dict[str, list[Good]] = {}
    for good in goods:
        found.setdefault(good.category, []).append(good)
    return found


def product_path(good: Good) -> str:
    """The path of a product page."""
    return f"/products/{quote(good.slug)}"


def category_path(name: str) -> str:
    """The path of a category."""
    return f"/shop/{quote(name, safe='')}"


def photo_paths_of(good: Good) -> list[str]:
    """The paths of a product's pictures; a picture that is replaced gets another version, as with large shops."""
    return [f"/pictures/{quote(good.slug)}/{quote(photo.name)}{_version(photo)}" for photo in good.photos]


def _version(photo: Path) -> str:
    try:
        return f"?v={photo.stat().st_mtime_ns // 1_000_000:x}"
    except FileNotFoundError:
        return ""


def price_text(good: Good) -> str:
    """The price as a shopper reads it."""
    if not good.price:
        return "Price on request"
    amount = f"{float(good.price):,.2f}".removesuffix(".00")
    return f"{_SIGNS[good.currency]}{amount}" if good.currency in _SIGNS else f"{amount} {escape(good.currency)}"


def _full_name(good: Good) -> str:
    return " ".join(part for part in (good.brand, good.name, good.colour) if part)


def _grid(goods: Sequence[Good], kind: str = "shoes") -> str:
    cards = "".join(
        f'<li class="card"><a href="{product_path(good)}">'
        + (
            f'<img src="{photo_paths_of(good)[0]}" alt="{escape(_full_name(good))}" loading="lazy">'
            if good.photos
            else '<div class="nothing">no photo yet</div>'
        )
        + f"<div><b>{escape(good.name)}</b><br>"
        + f'<span class="quiet">{escape(good.brand)} {escape(good.colour)}</span><br>'
        + f"{price_text(good)}{'' if good.available else ' · sold out'}</div></a></li>"
        for good in goods
    )
    return f'<ul class="grid {kind}">{cards}</ul>'


def _page(title: str, body: str, goods: Sequence[Good], head: str = "") -> str:
    links = "".join(f'<a href="{category_path(name)}">{escape(name.capitalize())}</a>' for name in categories(goods))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><meta property="og:site_name" content="{NAME}">
{head}
<style>{_STYLE}</style></head>
<body><header><a class="brandmark" href="/">{NAME}</a><nav>{links}<a href="/cart" rel="nofollow">Cart</a></nav>
<form action="/search" role="search"><input name="q" placeholder="Search" aria-label="Search"></form></header>
<main>{body}</main>
<footer>A shop that exists to be crawled. Its brands are invented; nothing can be bought here.</footer></body></html>
"""
