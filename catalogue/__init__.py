"""Everything durable: tables, queries, the photo store and its decoder, releases and live slots, snapshots, errors."""
