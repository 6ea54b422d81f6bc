"""SoleSearch's side of `benchmarks.crawl`: one crawl of a shop into a fresh catalogue.

    python -m benchmarks.crawl_once URL FOLDER CONCURRENCY [--profile]
"""

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.settings import Settings
from app.wiring import open_stores
from catalogue.tables import Listing
from crawler.crawl import crawl
from crawler.settings import CrawlSettings
from crawler.shops import add_shop, look_at

# Where a thread is said to be, by the innermost of these modules on its stack.
_PLACES = {"listing.py": "parse", "reading.py": "parse", "photos.py": "decode and store", "recording.py": "SQL",
           "fetch.py": "HTTP", "renditions.py": "decode and store", "frontier.py": "SQL"}


def main() -> None:
    """Crawl, then write what the catalogue holds as JSON lines."""
    url, folder, concurrency = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    stores = open_stores(Settings(data_dir=folder))
    settings = CrawlSettings(delay_s=0, concurrency=concurrency, allow_hosts=frozenset([urlsplit(url).netloc]))
    shop = add_shop(stores.database, look_at(url, settings))
    ended, found = threading.Event(), Counter[str]()
    if "--profile" in sys.argv:
        threading.Thread(target=_sample, args=(ended, found), daemon=True).start()
    crawl(stores.database, stores.photos, shop, settings, locks=folder / "locks", apart=True)
    ended.set()
    for place, share in found.most_common():
        print(f"  {place:18} {share / max(found.total(), 1):6.1%} of the threads' working samples", file=sys.stderr)
    with Session(stores.readers) as session, (folder / "listings.jsonl").open("w") as file:
        for row in session.scalars(select(Listing).execution_options(yield_per=500)):
            file.write(json.dumps({"url": row.url, "title": row.title}) + "\n")


def _sample(ended: threading.Event, found: Counter[str]) -> None:
    while not ended.wait(0.005):
        for thread, frame in sys._current_frames().items():
            if thread == threading.get_ident():
                continue
            names = []
            while frame is not None:
                names.append(Path(frame.f_code.co_filename).name)
                frame = frame.f_back
            if names[0] in ("threading.py", "queue.py", "thread.py", "selectors.py", "socket.py"):
                continue  # it waits
            place = next((_PLACES[name] for name in names if name in _PLACES), "")
            if place:
                found[place] += 1


if __name__ == "__main__":
    main()
