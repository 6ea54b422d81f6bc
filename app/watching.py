"""A thread that looks at the catalogue again and again, as the live index and the live tasks do."""

import threading
from collections.abc import Callable


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
