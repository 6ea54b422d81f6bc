"""Shops become catalogue: fetching politely, reading product pages, keeping the frontier, the crawl itself."""
