"""
OpenPGP data as clients make it, and imitations: RFC 9580 packets and ASCII armor.

PGPy makes keys and ciphertexts, so that "really encrypted" is true. This module writes what PGPy
cannot: the old packet format, partial lengths, large messages in little time, and packets in a
forbidden order.
"""

from __future__ import annotations

import base64
import os
from functools import cache

import pgpy
from pgpy.constants import (
    CompressionAlgorithm,
    EllipticCurveOID,
    HashAlgorithm,
    KeyFlags,
    PubKeyAlgorithm,
    SymmetricKeyAlgorithm,
)

LITERAL, COMPRESSED, ENCRYPTED_UNPROTECTED, ENCRYPTED = 11, 8, 9, 18


@cache
def key(owner: str) -> pgpy.PGPKey:
    """Return a person's key: Ed25519 with a Curve25519 subkey, as chatmail core makes them."""
    made = pgpy.PGPKey.new(PubKeyAlgorithm.EdDSA, EllipticCurveOID.Ed25519)
    made.add_uid(
        pgpy.PGPUID.new(owner, email=owner),
        usage={KeyFlags.Sign},
        hashes=[HashAlgorithm.SHA256],
        ciphers=[SymmetricKeyAlgorithm.AES256],
        compression=[CompressionAlgorithm.Uncompressed],
    )
    subkey = pgpy.PGPKey.new(PubKeyAlgorithm.ECDH, EllipticCurveOID.Curve25519)
    made.add_subkey(subkey, usage={KeyFlags.EncryptCommunications})
    return made


def encrypt(text: str, *owners: str) -> str:
    """Return the armor of `text`, encrypted to each of the keys."""
    session = SymmetricKeyAlgorithm.AES256.gen_key()
    message = pgpy.PGPMessage.new(text, compression=CompressionAlgorithm.Uncompressed)
    for owner in owners:
        public = key(owner).pubkey
        message = public.encrypt(message, cipher=SymmetricKeyAlgorithm.AES256, sessionkey=session)
    return str(message)


def encrypt_with_secret(text: str, secret: str) -> str:
    """Return the armor of `text`, encrypted with `secret`."""
    message = pgpy.PGPMessage.new(text, compression=CompressionAlgorithm.Uncompressed)
    return str(message.encrypt(secret))


def decrypt(armor: str, owner: str) -> str:
    """Return the decrypted text."""
    text: str = key(owner).decrypt(pgpy.PGPMessage.from_blob(dearmored(armor))).message
    return text


def signed(text: str, owner: str) -> str:
    """Return the armor of a signed and readable message."""
    message = pgpy.PGPMessage.new(text, compression=CompressionAlgorithm.Uncompressed)
    message |= key(owner).sign(message)
    return str(message)


def public_key(owner: str) -> str:
    """Return the armor of a public key: OpenPGP, but not a message."""
    return str(key(owner).pubkey)


def armored(data: bytes, kind: str = "MESSAGE", headers: str = "") -> str:
    """Return ASCII armor (RFC 9580 6.2) around any bytes, without the optional checksum."""
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN PGP {kind}-----\n{headers}\n{lines}\n-----END PGP {kind}-----\n"


def dearmored(armor: str) -> bytes:
    """Return the bytes inside an armor without checksum."""
    lines = armor.partition("\n\n")[2].splitlines()
    return base64.b64decode("".join(line for line in lines if line and line[0] not in "=-"))


def packet(tag: int, content: bytes) -> bytes:
    """Return a packet in the current format with a five-octet length (RFC 9580 4.2.1.3)."""
    return bytes([0xC0 | tag, 0xFF]) + len(content).to_bytes(4, "big") + content


def old_packet(tag: int, content: bytes) -> bytes:
    """Return a packet in the old format with a four-octet length (RFC 9580 4.2.2)."""
    return bytes([0x80 | tag << 2 | 2]) + len(content).to_bytes(4, "big") + content


def partial_packet(tag: int, content: bytes) -> bytes:
    """Return a packet in chunks of 512 octets (RFC 9580 4.2.1.4), as rPGP writes it."""
    chunks = bytes([0xC0 | tag])
    while len(content) > 512:
        chunks += bytes([0xE0 | 9]) + content[:512]
        content = content[512:]
    return chunks + b"\xff" + len(content).to_bytes(4, "big") + content


def packets(data: bytes) -> list[tuple[int, bytes]]:
    """Split PGPy's own messages into packets: tag and content of each."""
    found = []
    while data:
        tag, length, start = data[0] & 0x3F, data[1], 2
        if 192 <= length < 224:
            length, start = ((length - 192) << 8) + data[2] + 192, 3
        elif length == 255:
            length, start = int.from_bytes(data[2:6], "big"), 6
        found.append((tag, data[start : start + length]))
        data = data[start + length :]
    return found


def literal(text: str) -> bytes:
    """Return a packet with readable text (RFC 9580 5.9)."""
    return packet(LITERAL, b"t\x00\x00\x00\x00\x00" + text.encode())


def sealed(size: int, owner: str) -> bytes:
    """Return the packets of a message to `owner`, with `size` octets of random ciphertext."""
    session_key, content = packets(dearmored(encrypt("", owner)))
    assert content[0] == ENCRYPTED
    return packet(*session_key) + packet(ENCRYPTED, b"\x01" + os.urandom(size))
