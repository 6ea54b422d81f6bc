"""Sitemaps in the states they are found in: whole, gzipped, broken, hostile."""

import gzip

from crawler.sitemap import SitemapPage, read_sitemap, wanted_children

NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
URLSET = f"""<?xml version="1.0"?><urlset {NS}>
<url><loc> https://shop.example/p/1?a=1&amp;b=2 </loc><lastmod>2024-01-01</lastmod>
<image:image><image:loc>https://cdn.example/1.jpg</image:loc><image:title>t</image:title></image:image>
<image:image><image:loc>https://cdn.example/2.jpg</image:loc></image:image></url>
<url><loc>https://shop.example/p/2</loc></url><url><lastmod>2024-01-01</lastmod></url></urlset>""".encode()
PAGES = (
    SitemapPage("https://shop.example/p/1?a=1&b=2", ("https://cdn.example/1.jpg", "https://cdn.example/2.jpg")),
    SitemapPage("https://shop.example/p/2"),
)


def test_pages_and_their_pictures() -> None:
    found = read_sitemap(URLSET)
    assert (found.pages, found.children, found.problem) == (PAGES, (), "")


def test_an_index_names_children() -> None:
    found = read_sitemap(
        f"<sitemapindex {NS}><sitemap><loc>https://a.example/1.xml</loc></sitemap>"
        "<sitemap><loc>https://a.example/2.xml.gz</loc></sitemap></sitemapindex>".encode()
    )
    assert found.children == ("https://a.example/1.xml", "https://a.example/2.xml.gz")


def test_without_namespace_and_with_byte_order_mark() -> None:
    assert read_sitemap("\ufeff<urlset><url><loc>https://s.example/1</loc></url></urlset>".encode()).pages == (
        SitemapPage("https://s.example/1"),
    )


def test_gzip_is_known_by_its_first_bytes_and_may_be_cut_short() -> None:
    packed = gzip.compress(URLSET)
    assert read_sitemap(packed).pages == PAGES
    cut = read_sitemap(packed[:-20])
    assert "gzip" in cut.problem


def test_what_is_larger_than_allowed_is_read_up_to_there() -> None:
    many = b"<urlset>" + b"".join(b"<url><loc>https://s.example/%d</loc></url>" % n for n in range(5000)) + b"</urlset>"
    found = read_sitemap(gzip.compress(many), max_bytes=10_000)
    assert "larger than" in found.problem
    assert 100 < len(found.pages) < 5000


def test_broken_xml_gives_what_came_before() -> None:
    found = read_sitemap(
        URLSET[: URLSET.index(b"<url><loc>https://shop.example/p/2")] + b"<url><loc>https://s.example/<b"
    )
    assert found.pages[:1] == PAGES[:1]


def test_what_is_no_sitemap_says_so() -> None:
    for data in (b"", b"<html><body>Not found</body></html>", b"\x1f\x8bnonsense", b"{}"):
        found = read_sitemap(data)
        assert not found.pages and not found.children and found.problem


def test_an_empty_sitemap_is_no_problem() -> None:
    assert read_sitemap(f"<urlset {NS}></urlset>".encode()).problem == ""


def test_entities_are_never_expanded_or_loaded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = (
        f'<!DOCTYPE u [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/hostname">]>'
        "<urlset><url><loc>https://s.example/&l9;</loc></url><url><loc>https://s.example/&f;</loc></url></urlset>"
    )
    found = read_sitemap(bomb.encode())
    assert sum(len(page.url) for page in found.pages) < 100


def test_children_named_after_products_are_preferred() -> None:
    children = tuple(
        f"https://s.example/{name}" for name in ("sitemap-pages.xml", "sitemap_products_1.xml", "blog.xml")
    )
    assert wanted_children(children) == children[1:2]
    assert wanted_children(children[:1] + children[2:]) == (children[0], children[2])


def test_bare_ampersands_and_white_space_before_the_declaration_do_no_harm() -> None:
    found = read_sitemap(
        b'\n  <?xml version="1.0"?><urlset><url><loc>https://s.example/?a=1&b=2&amp;c=&#51;</loc></url></urlset>'
    )
    assert found.pages == (SitemapPage("https://s.example/?a=1&b=2&c=3"),) and not found.problem
    # An ampersand where the parser's pieces of the file meet.
    for size in range(65_480, 65_560):
        url = "https://s.example/?a=" + "x" * 40 + "&b=1&amp;c=2&d"
        found = read_sitemap(b"<urlset>" + b" " * size + f"<url><loc>{url}</loc></url></urlset>".encode())
        assert found.pages == (SitemapPage(url.replace("&amp;", "&")),) and not found.problem


def test_half_an_address_is_none() -> None:
    whole = b"<urlset><url><loc>https://s.example/1</loc></url><url><loc>https://s.example/200</loc></url></urlset>"
    found = read_sitemap(whole[: whole.index(b"00</loc>")])
    assert found.pages == (SitemapPage("https://s.example/1"),) and "broken" in found.problem


def test_gzip_in_several_parts() -> None:
    packed = gzip.compress(URLSET[:200]) + gzip.compress(URLSET[200:]) + b"\0\0\0"
    assert read_sitemap(packed) == read_sitemap(URLSET)
