"""Prints the keys_digest of idempotency keys, one a line on the standard input."""
import hashlib
import sys


def digest(keys):
    """The first 8 bytes of the SHA-256 of each key, as big-endian integers, added up modulo 2^64: 16 hexadecimal digits."""
    total = sum(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") for key in keys)
    return f"{total % 2**64:016x}"


if __name__ == "__main__":
    print(digest(line.rstrip("\r\n") for line in sys.stdin))
