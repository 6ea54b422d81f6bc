"""Pixels to numbers: networks, preprocessing, their saved form, runtimes, the embedder, measures of arrays."""
