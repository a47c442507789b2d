"""
The layout of encrypted session keys, for each version and algorithm that released software writes.

The patterns below are a grammar of octets. Everything in it that is not a version, an algorithm or
a length is the output of a cipher, a point on a curve, a salt or a key's ID. "." is any octet.
"""

import re


def _octet(value: int) -> bytes:
    """Return a pattern for one octet."""
    return re.escape(bytes([value]))


# RFC 9580 5.1. Version 3 names the recipient's key by its ID, or zeros for a hidden recipient.
# Version 6 names it by the key's version and fingerprint, or not at all.
_V3 = rb"\x03.{8}"
_V6 = rb"\x06(?:\x00|\x15\x04.{20}|\x21[\x05\x06].{32})"

# ECDH, RFC 9580 5.1.5. A point is a multi-precision integer: its length in bits, then 04 for an
# uncompressed or 40 for a native point, then the coordinates. GnuPG writes X448 without the 40.
_CURVE25519 = rb"\x01\x07\x40.{32}"
_CURVE448 = rb"\x01[\xb9-\xc0].{56}|\x01[\xb1-\xb8].{55}|\x01\xc7\x40.{56}"
_P256, _P384 = rb"\x02\x03\x04.{64}", rb"\x03\x03\x04.{96}"
_P512, _P521 = rb"\x04\x03\x04.{128}", rb"\x04\x23\x04.{132}"
_POINT = b"(?:%b)" % b"|".join((_CURVE25519, _CURVE448, _P256, _P384, _P512, _P521))
# The length and the AES key wrap (RFC 3394) of: a cipher, a key of 16, 24 or 32 octets, a checksum,
# and padding to a multiple of 8 octets. RFC 9580 11.5.
_ECDH = rb"\x12" + _POINT + rb"(?:\x20.{32}|\x28.{40}|\x30.{48})"

# X25519 and X448 (RFC 9580 5.1.6, 5.1.7), alone and with ML-KEM (draft-ietf-openpgp-pqc 4.3.1).
# The length and the AES key wrap follow; in version 3 the cipher is before the key wrap.
_NATIVE = rb"(?:\x19.{32}|\x1a.{56}|\x23.{1120}|\x24.{1624})"
_WRAPPED = rb"(?:\x18.{24}|\x20.{32}|\x28.{40})"
_CIPHER_AND_WRAPPED = rb"(?:\x19.{25}|\x21.{33}|\x29.{41})"

# Kyber of draft-koch-librepgp, as written by GnuPG 2.5: a point, the ciphertext and its length.
_KYBER_POINT = b"(?:%b)" % b"|".join((_POINT, rb"\x00[\xf9-\xff].{32}", rb"\x01\x00.{32}"))
_KYBER = rb"\x08" + _KYBER_POINT + rb"\x00\x00(?:\x04\x40.{1088}|\x06\x20.{1568})." + _WRAPPED

_PKESK = re.compile(
    b"(?:%b|%b)%b" % (_V3, _V6, _ECDH)
    + b"|%b%b%b" % (_V6, _NATIVE, _WRAPPED)
    + b"|%b(?:%b%b|%b)" % (_V3, _NATIVE, _CIPHER_AND_WRAPPED, _KYBER),
    re.DOTALL,
)

# RSA, encrypt-only RSA, and Elgamal, with their numbers of multi-precision integers.
_WITH_INTEGERS = re.compile(rb"(?:%b|%b)([\x01\x02\x10])" % (_V3, _V6), re.DOTALL)
_INTEGERS = {b"\x01": 1, b"\x02": 1, b"\x10": 2}
# A random number below a modulus of 1024 bits is shorter than this once in 2^512.
_INTEGER_OCTETS = range(64, 2049)

# RFC 9580 9.5 and 9.3. AEAD modes need one of the last: ciphers with blocks of 128 bits.
_HASH = rb"[\x01-\x03\x08-\x0e]"
_CIPHER = rb"[\x01-\x04\x07-\x0d]"
_CIPHER_128 = rb"[\x07-\x0d]"
# String-to-key specifiers by their length, RFC 9580 3.7.1: simple, salted, iterated and salted,
# Argon2.
_S2K = {
    2: rb"\x00" + _HASH,
    10: rb"\x01" + _HASH + rb".{8}",
    11: rb"\x03" + _HASH + rb".{9}",
    20: rb"\x04.{16}[\x01-\xff]{2}[\x03-\x1f]",
}
_ANY_S2K = b"(?:%b)" % b"|".join(_S2K.values())
# AEAD modes and the lengths of their nonces, RFC 9580 9.6. OpenPGP.js 4 and 5 used 100 for GCM
# before it had a number.
_NONCE = {1: 16, 2: 15, 3: 12}
_V5_NONCE = {**_NONCE, 100: 12}
_SEALED = rb"(?:.{16}|.{24}|.{32}).{16}"
# Version 4 may have no encrypted key: then the key is derived from the passphrase alone. Version 5
# is that of draft-koch-librepgp. Version 6 begins with the length of its first fields.
_SKESK = re.compile(
    b"|".join(
        [
            rb"\x04" + _CIPHER + _ANY_S2K + rb"(?:.{17}|.{25}|.{33})?",
            *[
                rb"\x05%b%b%b.{%d}%b" % (_CIPHER_128, _octet(mode), _ANY_S2K, nonce, _SEALED)
                for mode, nonce in _V5_NONCE.items()
            ],
            *[
                b"\x06%b%b%b%b%b"
                % (_octet(3 + size + nonce), _CIPHER_128, _octet(mode), _octet(size), s2k)
                + rb".{%d}%b" % (nonce, _SEALED)
                for mode, nonce in _NONCE.items()
                for size, s2k in _S2K.items()
            ],
        ]
    ),
    re.DOTALL,
)

# Chat clients write a series of these, one for each device of a recipient: ECDH with Curve25519 and
# a short length in the current format. One match reads them all: large groups have hundreds.
_USUAL = re.compile(
    b"(?:%b)*+"
    % b"|".join(
        rb"\xc1%b%b" % (_octet(names + 1 + 2 + 33 + 1 + wrapped), name)
        + rb"\x12%b%b.{%d}" % (_CURVE25519, _octet(wrapped), wrapped)
        for names, name in ((9, _V3), (2, rb"\x06\x00"), (23, rb"\x06\x15\x04.{20}"))
        for wrapped in (32, 40, 48)
    ),
    re.DOTALL,
)


def end_of_usual(packets: bytes) -> int:
    """Find where the series of session keys that chat clients write ends."""
    match = _USUAL.match(packets)
    return match.end() if match else 0


def is_for_key(data: bytes, begin: int, end: int) -> bool:
    """Whether this is the body of a Public Key Encrypted Session Key packet, RFC 9580 5.1."""
    return _PKESK.fullmatch(data, begin, end) is not None or _is_integers(data, begin, end)


def is_for_passphrase(data: bytes, begin: int, end: int) -> bool:
    """Whether this is the body of a Symmetric Key Encrypted Session Key packet, RFC 9580 5.3."""
    return _SKESK.fullmatch(data, begin, end) is not None


def _is_integers(data: bytes, begin: int, end: int) -> bool:
    """RFC 9580 5.1.3 and 5.1.4; an integer's length is in bits (RFC 9580 3.2)."""
    match = _WITH_INTEGERS.match(data, begin, end)
    if match is None:
        return False
    at = match.end()
    for _ in range(_INTEGERS[match[1]]):
        bits = int.from_bytes(data[at : at + 2])
        octets = (bits + 7) // 8
        at += 2 + octets
        if octets not in _INTEGER_OCTETS or at > end:
            return False
        if data[at - octets].bit_length() > bits - 8 * (octets - 1):
            return False
    return at == end
