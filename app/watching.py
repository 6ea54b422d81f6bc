"""What the live index and the live tasks have in common: they look again and again, and remember what cannot serve."""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable

log = logging.getLogger(__name__)
RETRY_S = 60


class Watch:
    """Calls `look` once at `begin`, then every `every_s` seconds in a thread of its own until `end`."""

    def __init__(self, look: Callable[[], None], every_s: float, name: str) -> None:
        self.look, self.every_s = look, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=name, daemon=True)

    def begin(self) -> None:
        """Look once, and from then on in the thread."""
        self.look()
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(self.every_s):
            self.look()


class Refusals:
    """What cannot serve, and why. It is left alone for a minute before it is tried again: loading takes the processor
    from those who answer. A reason is logged once."""

    def __init__(self) -> None:
        self._found: dict[Hashable, tuple[float, str]] = {}

    def add(self, key: Hashable, why: str) -> None:
        """Remember why this cannot serve."""
        if why != self.why(key):
            log.error("%s", why)
        self._found[key] = (time.monotonic() + RETRY_S, why)

    def forget(self, key: Hashable) -> None:
        """It can serve now."""
        self._found.pop(key, None)

    def keep(self, keys: Iterable[Hashable]) -> None:
        """Forget all others."""
        kept = set(keys)
        self._found = {key: found for key, found in self._found.items() if key in kept}

    def waits(self, key: Hashable) -> bool:
        """Whether this is to be left alone still."""
        until, _ = self._found.get(key, (0.0, ""))
        return time.monotonic() < until

    def why(self, key: Hashable) -> str:
        """Why this cannot serve; empty where it was not refused."""
        return self._found.get(key, (0.0, ""))[1]

    def reasons(self) -> list[str]:
        """All reasons; another thread may change them meanwhile."""
        return [why for _, why in self._found.copy().values()]

    def __bool__(self) -> bool:
        return bool(self._found)
