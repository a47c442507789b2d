"""
PGPy as a program: `pgpy_program.py COMMAND OPTION...`.

The commands are version, keys, encrypt, decrypt, signed-only and clearsigned. It runs on a machine
with Debian's python3-pgpy, in a directory with a file `secret`. The options of encrypt are
`key=NAME` for each recipient, `password`, `sign`, and PGPy's names of ciphers and compressions.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from pgpy import PGPUID, PGPKey, PGPMessage
from pgpy.constants import (
    CompressionAlgorithm,
    EllipticCurveOID,
    HashAlgorithm,
    KeyFlags,
    PubKeyAlgorithm,
    SymmetricKeyAlgorithm,
)

KINDS = {
    "modern": (
        (PubKeyAlgorithm.EdDSA, EllipticCurveOID.Ed25519),
        (PubKeyAlgorithm.ECDH, EllipticCurveOID.Curve25519),
    ),
    "rsa": (
        (PubKeyAlgorithm.RSAEncryptOrSign, 2048),
        (PubKeyAlgorithm.RSAEncryptOrSign, 2048),
    ),
}


def make_keys() -> None:
    """Make one key of each kind."""
    for name, (primary, sub) in KINDS.items():
        key = PGPKey.new(*primary)
        key.add_uid(
            PGPUID.new(name, email=f"{name}@pgp.test"),
            usage={KeyFlags.Sign},
            hashes=[HashAlgorithm.SHA256],
            ciphers=list(SymmetricKeyAlgorithm)[2:],
            compression=list(CompressionAlgorithm),
        )
        key.add_subkey(PGPKey.new(*sub), usage={KeyFlags.EncryptCommunications})
        Path(f"{name}.key").write_text(str(key))


def read_key(name: str) -> PGPKey:
    """Read a key."""
    return PGPKey.from_file(f"{name}.key")[0]


def encrypt(text: bytes, options: list[str]) -> PGPMessage:
    """Encrypt as the options say."""
    cipher, compression = SymmetricKeyAlgorithm.AES256, CompressionAlgorithm.ZIP
    for word in options:
        cipher = SymmetricKeyAlgorithm.__members__.get(word, cipher)
        compression = CompressionAlgorithm.__members__.get(word, compression)
    message = PGPMessage.new(text, compression=compression)
    if "sign" in options:
        message |= read_key("modern").sign(message)
    if "password" in options:
        return message.encrypt(Path("secret").read_text(), cipher=cipher)
    session_key = cipher.gen_key()
    for name in [word.removeprefix("key=") for word in options if word.startswith("key=")]:
        message = read_key(name).pubkey.encrypt(message, cipher=cipher, sessionkey=session_key)
    return message


def decrypt(armor: str) -> bytes:
    """Decrypt with whatever fits."""
    message = PGPMessage.from_blob(armor)
    if not message.encrypters:
        opened = message.decrypt(Path("secret").read_text())
    else:
        keys = [read_key(name) for name in KINDS]
        own = next(key for key in keys if message.encrypters & set(key.subkeys))
        opened = own.decrypt(message)
    content = opened.message
    return content.encode() if isinstance(content, str) else bytes(content)


def main(command: str, *options: str) -> None:
    """Run one command."""
    match command:
        case "version":
            print(version("pgpy"))
        case "keys":
            make_keys()
        case "encrypt":
            print(encrypt(sys.stdin.buffer.read(), list(options)))
        case "decrypt":
            sys.stdout.buffer.write(decrypt(sys.stdin.read()))
        case "signed-only":
            message = PGPMessage.new(sys.stdin.buffer.read())
            message |= read_key("modern").sign(message)
            print(message)
        case "clearsigned":
            message = PGPMessage.new(sys.stdin.read(), cleartext=True)
            message |= read_key("modern").sign(message)
            print(message)


main(*sys.argv[1:])
