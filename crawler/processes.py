"""Processes that a crawl begins beside itself: how they begin, and that they end with whoever began them."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.context import ForkServerContext


def processes() -> ForkServerContext:
    """Begins processes by forking one that has all our modules loaded and no threads: milliseconds, and shared memory.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crawler.visitors"])
    return context


def belong_to_parent() -> None:
    """Let this process end with the one that began it, however that ends; a Ctrl-C is that one's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()
