"""A small shoe shop for trying SoleSearch: it renders its own pictures and serves them on loopback."""
