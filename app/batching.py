"""Batching across requests: whatever waits while one batch runs goes into the next, and nobody waits for company."""

import queue
import threading
from concurrent.futures import Future

import numpy as np

from vision.runtimes import Runtime

Answer = tuple[np.ndarray, np.ndarray]
RETIRE_S = 30


class BatchingRuntime:
    """A runtime that many threads call at once; one thread runs the real one on what they bring together.

    Each caller holds its own future, and rows are handed back by position: an answer cannot reach another caller. A
    batch takes no more callers once it has `most` rows.
    """

    def __init__(self, runtime: Runtime, most: int = 16) -> None:
        self.runtime = runtime
        self.most = most
        self._closed = False
        self._door = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[np.ndarray, Future[Answer]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batching", daemon=True)
        self._thread.start()

    def run(self, pixels: np.ndarray) -> Answer:
        """Run pixels (n, size, size, 3) with whatever else waits; return this caller's rows."""
        future: Future[Answer] = Future()
        with self._door:
            closed = self._closed
            if not closed:
                self._waiting.put((pixels, future))
        # A request that took the engine before it was retired may come after its thread has gone: it goes alone.
        return self.runtime.run(pixels) if closed else future.result()

    def close(self) -> None:
        """End the thread once what waits is answered."""
        with self._door:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, rows, last = [first], len(first[0]), False
            while rows < self.most and not last:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                last = more is None
                if more is not None:
                    batch.append(more)
                    rows += len(more[0])
            self._run(batch)
            if last:
                return

    def _run(self, batch: list[tuple[np.ndarray, Future[Answer]]]) -> None:
        try:
            vectors, logits = self.runtime.run(np.concatenate([pixels for pixels, _ in batch]))
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
            return
        start = 0
        for pixels, future in batch:
            end = start + len(pixels)
            future.set_result((vectors[start:end], logits[start:end]))
            start = end


def retire(runtime: Runtime) -> None:
    """End the batching thread of what was replaced, once requests that hold it have had time to end."""
    if isinstance(runtime, BatchingRuntime):
        timer = threading.Timer(RETIRE_S, runtime.close)
        timer.daemon = True
        timer.start()
