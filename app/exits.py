"""How commands end: exit codes beside 0 (done), 1 (an error), 2 (wrong usage) and 130 (Ctrl-C); failures in words."""

import errno
import os
import sys

# Done, but with a warning: far fewer listings or photos than the crawl before.
WARNED = 3
# Nothing was done: another process holds the lock on the same job. Mail and job systems read this as "try again later".
BUSY = os.EX_TEMPFAIL  # 75


def known_failure(error: Exception) -> str | None:
    """A sentence about failures of the machine rather than of the program; None for those that deserve a traceback."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and run the same command again, nothing is lost"
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import DBAPIError
        if isinstance(error, DBAPIError):
            return (f"the database failed ({str(error.orig).splitlines()[0]}); what was committed is kept, run the "
                    "same command again")
    return None
