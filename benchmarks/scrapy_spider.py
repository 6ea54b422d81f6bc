"""The baseline of `benchmarks.crawl`: a Scrapy spider that does the same job, as its documentation would have it.

    python -m benchmarks.scrapy_spider URL FOLDER CONCURRENCY
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from scrapy.crawler import CrawlerProcess
from scrapy.http import Request, Response
from scrapy.pipelines.files import FilesPipeline
from scrapy.spiders import SitemapSpider


class PhotosByHash(FilesPipeline):
    """Stores photo bytes under their sha256."""

    def file_path(self, request: Request, response: Response | None = None, info: Any = None, *,
                  item: Any = None) -> str:
        """The name: of the bytes once there are any, before that of the address."""
        return hashlib.sha256(response.body if response is not None else request.url.encode()).hexdigest()


class Shoes(SitemapSpider):
    """Follows the sitemap and reads each page's JSON-LD."""

    name = "shoes"
    sitemap_rules = (("/products/", "parse"),)

    def parse(self, response: Response, **_: Any) -> Iterator[dict[str, Any]]:
        """One listing a page."""
        for text in response.css('script[type="application/ld+json"]::text').getall():
            data = json.loads(text)
            for node in data.get("@graph", [data]):
                if node.get("@type") in ("Product", "ProductGroup"):
                    offers = node.get("offers", {})
                    yield {"url": response.url, "title": node.get("name"), "brand": node.get("brand"),
                           "sku": node.get("sku"), "offers": offers, "file_urls": node.get("image", [])}


def main() -> None:
    """Crawl into FOLDER: listings.jsonl and photos."""
    url, folder, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3])
    process = CrawlerProcess({
        "ROBOTSTXT_OBEY": True, "COOKIES_ENABLED": False, "DOWNLOAD_DELAY": 0, "LOG_LEVEL": "ERROR",
        "CONCURRENT_REQUESTS": concurrency, "CONCURRENT_REQUESTS_PER_DOMAIN": concurrency,
        "TELNETCONSOLE_ENABLED": False,
        "ITEM_PIPELINES": {PhotosByHash: 1}, "FILES_STORE": f"{folder}/photos",
        "FEEDS": {f"{folder}/listings.jsonl": {"format": "jsonlines"}}})
    process.crawl(Shoes, sitemap_urls=[f"{url}sitemap.xml"])
    process.start()


if __name__ == "__main__":
    main()
