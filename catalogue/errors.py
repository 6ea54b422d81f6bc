"""The one error tree of the project; every message names what was wrong and what to do next.

    SoleSearchError
    ├── BadPhoto              bytes that are no picture we can read
    ├── BadInput              a file, option or setting given by the user cannot be used as it is
    ├── NotFound              a named thing (product, shop, photo, release) does not exist
    ├── NothingLive           a slot has no live release yet
    ├── Busy                  another process holds the lock on the same job
    ├── BadRelease            a release on disk is incomplete or does not fit what uses it
    ├── GateRefused           a candidate measured worse than what is live
    ├── CatalogueUnavailable  the database cannot be opened or is at another schema version
    └── FetchFailed           a page or photo could not be fetched
        ├── Forbidden         robots.txt, the address guard or a budget says no
        └── TooLarge          an answer exceeded its byte limit
"""


class SoleSearchError(Exception):
    """Root of all errors whose message may be shown to a user as it stands."""


class BadPhoto(SoleSearchError):
    """Raised when bytes are empty, truncated, of no known picture format, or over the pixel limit."""


class BadInput(SoleSearchError):
    """Raised when a file, option or setting given by the user cannot be used as it is."""


class NotFound(SoleSearchError):
    """Raised when a named product, shop, photo, snapshot or release does not exist."""


class NothingLive(SoleSearchError):
    """Raised when a slot is asked for its live release and none was ever promoted."""


class Busy(SoleSearchError):
    """Raised when another process already does the same job on the same data."""


class BadRelease(SoleSearchError):
    """Raised when a release directory is incomplete, altered, or made for another network."""


class GateRefused(SoleSearchError):
    """Raised when promotion is refused because the candidate measured worse than what is live."""


class CatalogueUnavailable(SoleSearchError):
    """Raised when the database cannot be opened or its schema is not the one this version knows."""


class FetchFailed(SoleSearchError):
    """Raised when a page or photo could not be fetched."""


class Forbidden(FetchFailed):
    """Raised when robots.txt, the address guard or a budget forbids a request; nothing was sent."""


class TooLarge(FetchFailed):
    """Raised when an answer exceeded its byte limit; the rest was not read."""
