"""SoleSearch's side of `benchmarks.crawl`: one crawl of a shop into a fresh catalogue.

    python -m benchmarks.crawl_once URL FOLDER CONCURRENCY
"""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.own_stores import own_stores
from catalogue.tables import Listing
from crawler.crawl import crawl
from crawler.settings import CrawlSettings
from crawler.shops import add_shop, look_at


def main() -> None:
    """Crawl, then write what the catalogue holds as JSON lines."""
    url, folder, concurrency = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    stores = own_stores(folder)
    settings = CrawlSettings(delay_s=0, concurrency=concurrency, allow_hosts=frozenset([urlsplit(url).netloc]))
    shop = add_shop(stores.database, look_at(url, settings))
    crawl(stores.database, stores.photos, shop, settings, locks=folder / "locks", apart=True)
    with Session(stores.readers) as session, (folder / "listings.jsonl").open("w") as file:
        for row in session.scalars(select(Listing).execution_options(yield_per=500)):
            file.write(json.dumps({"url": row.url, "title": row.title}) + "\n")


if __name__ == "__main__":
    main()
