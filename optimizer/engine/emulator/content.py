"""What the tokens of a request are, for the prefix cache: chained hashes of its blocks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import blake2b

__all__ = ["Content"]

_ENDLESS = 2**31 - 1


class Content:
    """Keys of a request's segments, as its tokens become known.

    Equal prefixes under one salt give equal keys, as vLLM's hash of the parent's hash and the
    block's tokens does.

    Parameters
    ----------
    prompt
        Its tokens.
    unit
        Tokens per segment: of a block, or of the part of one that can be found.
    own
        A number that no other request has: of what is not known yet.
    salt
        Requests with different ones share nothing.

    Attributes
    ----------
    unit
        Tokens per segment.
    keys, ends
        As in `Traffic`: of the segments that are full, and last of what follows.
    """

    def __init__(self, prompt: Iterable[int], unit: int, own: int, salt: str = "") -> None:
        self.unit = unit
        self._chain = _hash(b"salt", salt.encode("utf-8", "replace"))
        self._block = array("i")
        self._known = 0
        self.keys = [_number(_hash(b"own", own.to_bytes(8, "little")))]
        self.ends = [_ENDLESS]
        for token in prompt:
            self.append(token)

    def append(self, token: int) -> tuple[int, int] | None:
        """Add a token; return the key and the end of the segment that it fills, if it does."""
        self._block.append(token)
        self._known += 1
        if len(self._block) < self.unit:
            return None
        self._chain = _hash(self._chain, self._block.tobytes())
        self._block = array("i")
        key = _number(self._chain)
        self.keys.insert(-1, key)
        self.ends.insert(-1, self._known)
        return key, self._known


def _hash(parent: bytes, content: bytes) -> bytes:
    return blake2b(parent + content, digest_size=8).digest()


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "little", signed=True)
