"""Answers packed by gzip without a header that says so: known by their first bytes, read as far as they go."""

import io
import zlib
from typing import Any

_GZIP = 31  # zlib's word for a gzip wrapper
_PIECE = 65536


class Unpacked(io.RawIOBase):
    """The bytes of an answer as a stream, gunzipped if they begin like gzip.

    Broken or cut gzip ends the stream where it breaks, and `problem` says so.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._unpacker = zlib.decompressobj(_GZIP) if data[:2] == b"\x1f\x8b" else None
        self._waiting = b""
        self.problem = ""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; 0 at the end."""
        piece = self._next(len(buffer))
        buffer[:len(piece)] = piece
        return len(piece)

    def _next(self, size: int) -> bytes:
        if self._unpacker is None:
            return self._take(size)
        while not self.problem:
            if self._unpacker.eof:
                rest = self._unpacker.unused_data.lstrip(b"\0") + bytes(self._data[self._at:self._at + 2])
                if not rest.startswith(b"\x1f\x8b"):
                    return b""
                self._waiting, self._unpacker = self._unpacker.unused_data.lstrip(b"\0"), zlib.decompressobj(_GZIP)
            packed = self._unpacker.unconsumed_tail or self._waiting or self._take(_PIECE)
            self._waiting = b""
            try:
                piece = self._unpacker.decompress(packed, size)
            except zlib.error as error:
                self.problem = f"it is broken gzip ({error})"
                return b""
            if piece:
                return piece
            if not packed:
                self.problem = "it is broken gzip (it ends too early)"
        return b""

    def _take(self, size: int) -> bytes:
        piece = bytes(self._data[self._at:self._at + size])
        self._at += len(piece)
        return piece
