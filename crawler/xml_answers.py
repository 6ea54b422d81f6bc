"""XML answers, gzipped or broken, read element by element: what can be read is, and `problem` says what could not."""

import re
from collections.abc import Iterator

from lxml import etree

from crawler.unpacking import Unpacked

# An ampersand that begins no entity: shops paste addresses into XML as they are.
_BARE = re.compile(rb"&(?!(?:#\d{1,8}|#x[0-9a-fA-F]{1,6}|[A-Za-z]\w{1,8});)")
_LONGEST_ENTITY = 12
# What lxml mends without losing an element: a letter of the wrong encoding, an entity that nobody declared.
_HARMLESS = {"ERR_INVALID_ENCODING", "ERR_INVALID_CHAR", "ERR_UNDECLARED_ENTITY", "WAR_UNDECLARED_ENTITY"}


class XmlAnswer:
    """The elements of one answer; `problem` is told, and `root` known, when all have been read."""

    def __init__(self, data: bytes, max_bytes: int) -> None:
        self._stream = _Stream(data, max_bytes)
        self._broken = ""
        self.root = ""

    @property
    def problem(self) -> str:
        """What kept the answer from being read whole; empty if nothing did."""
        return self._stream.problem or self._broken

    def elements(self, names: set[str]) -> Iterator[etree._Element]:
        """The elements with these local names (lower case), as they are closed; each is emptied after its turn.

        Entities stay unexpanded and nothing is loaded: a billion laughs are one node, an external file is never read.
        """
        reading = etree.iterparse(self._stream, events=("start", "end"), recover=True, resolve_entities=False,
                                  no_network=True, load_dtd=False, huge_tree=False)
        try:
            for event, node in reading:
                self.root = self.root or local_name(node)
                # Elements that are closed behind the end of the bytes were cut short, and half an address is none.
                if event == "end" and not self._stream.ended and local_name(node) in names:
                    yield node
                    _forget(node)
        except etree.XMLSyntaxError as error:
            self._broken = f"it is broken XML ({error})"
        lost = [entry for entry in reading.error_log if entry.type_name not in _HARMLESS]
        if lost and not self._broken:
            self._broken = f"it is broken XML ({lost[0].message}, line {lost[0].line})"


def local_name(node: etree._Element) -> str:
    """The name of an element without its namespace, in lower case; empty for comments and the like."""
    return node.tag.rpartition("}")[2].rpartition(":")[2].lower() if isinstance(node.tag, str) else ""


def _forget(node: etree._Element) -> None:
    """Empty an element and drop those before it, so that a long answer is never whole in memory as objects."""
    node.clear()
    parent = node.getparent()
    while parent is not None and node.getprevious() is not None:
        del parent[0]


class _Stream:
    """The bytes of an answer for the parser: unpacked if they begin like gzip, bare ampersands escaped, capped."""

    def __init__(self, data: bytes, max_bytes: int) -> None:
        self.problem = ""
        self._left = self._max = max_bytes
        self._file = Unpacked(data)
        self._wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        self._rest = b""
        self._begun = False
        self.ended = False

    def read(self, size: int = 65536) -> bytes:
        """Up to `size` bytes, a few more where ampersands were escaped."""
        chunk = self._unpacked(size)
        if not self._begun:
            self._begun = True
            # A declaration must be the first thing, and what templates print before it is white.
            chunk = chunk if self._wide else chunk.lstrip()
        if self._wide:
            self.ended = not chunk
            return chunk
        whole, self._rest = self._rest + chunk, b""
        cut = whole.rfind(b"&", max(0, len(whole) - _LONGEST_ENTITY))
        if chunk and cut > 0:
            whole, self._rest = whole[:cut], whole[cut:]
        self.ended = not whole
        return _BARE.sub(b"&amp;", whole)

    def _unpacked(self, size: int) -> bytes:
        chunk = self._file.read(size) or b""
        self.problem = self._file.problem
        if len(chunk) > self._left:
            self.problem = f"it is larger than {self._max:,} bytes; the rest was left out"
        chunk = chunk[:self._left]
        self._left -= len(chunk)
        return chunk
