"""Bytes: digests, compression, base64, and packing."""

import base64
import hashlib
import struct
import zlib


def run() -> None:
    """One round."""
    block = b"".join(struct.pack("<IHd", n, n % 65_536, n / 3) for n in range(20_000))
    assert struct.unpack_from("<IHd", block, 14 * 300) == (300, 300, 100.0)
    packed = zlib.compress(block, 6)
    assert zlib.decompress(packed) == block
    assert base64.b64decode(base64.b64encode(block)) == block
    digests = {
        hashlib.new(name, block).hexdigest() for name in ("md5", "sha1", "sha256", "sha3_256")
    }
    assert len(digests) == 4 and zlib.crc32(block) == zlib.crc32(
        block[1000:], zlib.crc32(block[:1000])
    )
