"""Hanging up on servers that drip: a read timeout bounds one wait, only closing the socket bounds a whole answer."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TICK_S = 0.2
_IDLE_S = 30.0
log = logging.getLogger(__name__)


class Deadlines:
    """One thread that watches the sockets of many requests; it runs only while there is something to watch."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, Any, threading.Event]] = {}
        self._changed = threading.Lock()
        self._next = 0
        self._running = False

    @contextmanager
    def watching(self, connection: Any, seconds: float) -> Iterator[threading.Event]:
        """Hang up `connection` if the block takes longer; the event yielded says whether that happened."""
        late = threading.Event()
        with self._changed:
            self._next += 1
            number = self._next
            self._watched[number] = (time.monotonic() + seconds, connection, late)
            if not self._running:
                self._running = True
                threading.Thread(target=self._watch, name="deadlines", daemon=True).start()
        try:
            yield late
        finally:
            with self._changed:
                self._watched.pop(number, None)

    def _watch(self) -> None:
        idle_since = time.monotonic()
        while True:
            time.sleep(TICK_S)
            at = time.monotonic()
            with self._changed:
                if self._watched:
                    idle_since = at
                elif at - idle_since > _IDLE_S:
                    self._running = False
                    return
                due = [number for number, (deadline, _, _) in self._watched.items() if deadline <= at]
                hung = [self._watched.pop(number) for number in due]
            for _, connection, late in hung:
                late.set()
                _hang_up(connection)


def _hang_up(connection: Any) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError as error:
        log.debug("hanging up a slow connection: %s", error)
