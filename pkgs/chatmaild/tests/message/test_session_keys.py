"""Session keys as released software writes them, in every version, algorithm and length."""

import pytest

from chatmaild.message.session_keys import end_of_usual, is_for_key, is_for_passphrase
from mails import PKESK, SEIPD, noise, packet, pkesk

V3 = b"\x03" + noise(8)
HIDDEN_V3 = b"\x03" + bytes(8)
V6 = b"\x06\x21\x06" + noise(32)
V6_OF_V4_KEY = b"\x06\x15\x04" + noise(20)
HIDDEN_V6 = b"\x06\x00"
NAMES = (V3, HIDDEN_V3, V6, V6_OF_V4_KEY, HIDDEN_V6)


def integer(octets: int, *, top: int = 0xFF) -> bytes:
    """Build a multi-precision integer whose first octet is `top` (RFC 9580 3.2)."""
    bits = 8 * (octets - 1) + top.bit_length()
    return bits.to_bytes(2) + bytes([top]) + noise(octets - 1)


def sized(data: bytes) -> bytes:
    """Prepend the length."""
    return bytes([len(data)]) + data


POINTS = {
    "Curve25519": b"\x01\x07\x40" + noise(32),
    "P-256, secp256k1, brainpoolP256r1": b"\x02\x03\x04" + noise(64),
    "P-384, brainpoolP384r1": b"\x03\x03\x04" + noise(96),
    "brainpoolP512r1": b"\x04\x03\x04" + noise(128),
    "P-521": b"\x04\x23\x04" + noise(132),
    "X448": b"\x01\xc0" + noise(56),
    "X448 with a prefix": b"\x01\xc7\x40" + noise(56),
}
ASYMMETRIC = {
    **{f"RSA {8 * n}": b"\x01" + integer(n) for n in (128, 256, 384, 512, 2048)},
    "RSA 2048, small": b"\x01" + integer(255, top=1),
    "RSA for encryption only": b"\x02" + integer(256),
    "Elgamal": b"\x10" + integer(256) + integer(255, top=3),
    **{
        f"ECDH {name}, {wrapped}": b"\x12" + point + sized(noise(wrapped))
        for name, point in POINTS.items()
        for wrapped in (32, 40, 48)
    },
}
NATIVE = {
    "X25519": b"\x19" + noise(32),
    "X448": b"\x1a" + noise(56),
    "ML-KEM-768 and X25519": b"\x23" + noise(1120),
    "ML-KEM-1024 and X448": b"\x24" + noise(1624),
}
KYBER = b"\x08" + POINTS["Curve25519"] + b"\x00\x00\x04\x40" + noise(1088) + b"\x09\x28" + noise(40)


def for_key(body: bytes) -> bool:
    """Judge a body that has others before and after it."""
    return is_for_key(b"xx" + body + b"xx", 2, 2 + len(body))


def for_passphrase(body: bytes) -> bool:
    """Judge a body that has others before and after it."""
    return is_for_passphrase(b"xx" + body + b"xx", 2, 2 + len(body))


@pytest.mark.parametrize("body", ASYMMETRIC.values(), ids=ASYMMETRIC.keys())
def test_accepts_every_algorithm_and_key_id(body: bytes) -> None:
    """RFC 9580 5.1.1 and 5.1.2; other lengths would have room for other data."""
    for names in NAMES:
        assert for_key(names + body)
        assert not for_key(names + body + b"x")
        assert not for_key(names + body[:-1])


@pytest.mark.parametrize("body", NATIVE.values(), ids=NATIVE.keys())
@pytest.mark.parametrize("key", [16, 24, 32])
def test_accepts_native_curves(body: bytes, key: int) -> None:
    """Version 3 has the cipher beside the wrapped key, version 6 in the data."""
    wrapped = noise(key + 8)
    for names in (V3, HIDDEN_V3):
        assert for_key(names + body + sized(b"\x09" + wrapped))
        assert not for_key(names + body + sized(wrapped))
    for names in (V6, V6_OF_V4_KEY, HIDDEN_V6):
        assert for_key(names + body + sized(wrapped))
        assert not for_key(names + body + sized(b"\x09" + wrapped))


def test_accepts_kyber_of_gnupg() -> None:
    """GnuPG 2.5 writes it for its own post-quantum keys."""
    assert for_key(V3 + KYBER)
    assert not for_key(V3 + KYBER + b"x")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        V3,
        b"\x02" + V3[1:] + ASYMMETRIC["RSA 2048"],
        V3 + b"\x03" + integer(256),
        V3 + b"\x11" + integer(256),
        V3 + b"\x14" + integer(256) + integer(256),
        V3 + b"\x01" + integer(63),
        V3 + b"\x01" + integer(2049),
        V3 + b"\x01\x08\x00" + b"\x01" * 300,
        V3 + b"\x01\x07\xf9\xff" + noise(255),
        V3 + b"\x10" + integer(256),
        V3 + b"\x12" + POINTS["Curve25519"] + sized(noise(56)),
        V3 + b"\x12" + POINTS["Curve25519"] + sized(b"hello"),
        V3 + b"\x12\x01\x07\x41" + noise(32) + sized(noise(48)),
        b"\x06\x05hello" + ASYMMETRIC["RSA 2048"],
        b"\x06\x21\x04" + noise(32) + ASYMMETRIC["RSA 2048"],
    ],
)
def test_refuses_what_no_software_writes(body: bytes) -> None:
    """Every unchecked octet of a packet could be a letter."""
    assert not for_key(body)


S2K = {
    "simple": b"\x00\x08",
    "salted": b"\x01\x08" + noise(8),
    "iterated": b"\x03\x08" + noise(8) + b"\xff",
    "Argon2": b"\x04" + noise(16) + b"\x01\x04\x15",
}


@pytest.mark.parametrize("s2k", S2K.values(), ids=S2K.keys())
def test_accepts_every_string_to_key(s2k: bytes) -> None:
    """RFC 9580 5.3: versions 4, 5 (LibrePGP) and 6, with and without an encrypted key."""
    whole = [b"\x04\x09" + s2k]
    whole += [b"\x04\x09" + s2k + noise(size) for size in (17, 25, 33)]
    for mode, nonce in ((1, 16), (2, 15), (3, 12)):
        for key in (16, 24, 32):
            sealed = noise(nonce + key + 16)
            whole.append(bytes([5, 9, mode]) + s2k + sealed)
            fields = bytes([9, mode]) + sized(s2k)
            whole.append(b"\x06" + bytes([len(fields) + nonce]) + fields + sealed)

    for body in whole:
        assert for_passphrase(body), body.hex()
        assert not for_passphrase(body + b"x")
    assert not for_passphrase(whole[0] + b"hello")


def test_counts_the_first_fields_of_version_6() -> None:
    """RFC 9580 5.3.2 has two lengths; an unchecked one would be an octet for a letter."""
    fields = b"\x09\x02" + sized(S2K["iterated"])
    sealed = noise(15 + 32 + 16)
    right = len(fields) + 15
    lengths = [n for n in range(256) if for_passphrase(bytes([6, n]) + fields + sealed)]

    assert lengths == [right]
    assert not for_passphrase(bytes([6, right, 9, 2, 9]) + S2K["iterated"] + sealed)


def test_finds_the_end_of_what_chat_clients_write() -> None:
    """In every form that core writes, and not beyond."""
    keys = [
        pkesk(names, wrapped)
        for names in (V3, HIDDEN_V3, HIDDEN_V6, V6_OF_V4_KEY)
        for wrapped in (32, 40, 48)
    ]
    usual = b"".join(keys)

    assert end_of_usual(usual + SEIPD) == len(usual)
    assert end_of_usual(usual + packet(1, PKESK[2:]) + SEIPD) == len(usual)
    assert end_of_usual(usual[:-1]) == len(usual) - len(keys[-1])
    assert end_of_usual(SEIPD) == end_of_usual(b"") == 0
