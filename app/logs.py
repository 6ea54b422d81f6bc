"""What is logged, on standard error: the project's own lines from a level on, those of libraries when they warn."""

import logging
import os

from catalogue.errors import BadInput

_OWN = ("app", "catalogue", "crawler", "index", "training", "vision")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def log_from(level: int) -> None:
    """Log from `level` on; what libraries say of their daily work only if everything is asked for, by DEBUG."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    for room in _OWN:
        logging.getLogger(room).setLevel(level)


def service_level() -> int:
    """How much the service logs, by SOLESEARCH_LOG; `BadInput` if that is no level."""
    named = os.environ.get("SOLESEARCH_LOG", "").upper() or "INFO"
    if named not in _LEVELS:
        raise BadInput(f"the setting SOLESEARCH_LOG cannot be used: {named!r} is none of {', '.join(_LEVELS)}")
    return logging.getLevelNamesMapping()[named]
