"""The exit codes of the command line beside 0 (done), 1 (an error), 2 (wrong usage) and 130 (Ctrl-C)."""

import os

# Done, but with a warning: far fewer listings or photos than the crawl before.
WARNED = 3
# Nothing was done: another process holds the lock on the same job. Mail and job systems read this as "try again later".
BUSY = os.EX_TEMPFAIL  # 75
