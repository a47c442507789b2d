"""The abilities of OpenPGP programs, as tables of commands (see pgp_programs.py)."""

from __future__ import annotations

from people.pgp_programs import Mode, Program

GPG_KEYS = """
mkdir -p -m 700 gnupg
key() {
    gpg --batch --quiet --gen-key 2>/dev/null << EOF
%no-protection
Key-Type: $2
$3
Subkey-Type: $4
$5
Name-Email: $1@pgp.test
%commit
EOF
}
key modern EDDSA 'Key-Curve: ed25519' ECDH 'Subkey-Curve: cv25519'
key rsa RSA 'Key-Length: 2048' RSA 'Subkey-Length: 2048'
key elgamal DSA 'Key-Length: 2048' ELG 'Subkey-Length: 2048'
key nist ECDSA 'Key-Curve: nistp384' ECDH 'Subkey-Curve: nistp384'
key brainpool ECDSA 'Key-Curve: brainpoolP256r1' ECDH 'Subkey-Curve: brainpoolP256r1'
key goldilocks EDDSA 'Key-Curve: ed448' ECDH 'Subkey-Curve: cv448'
"""


def gpg(options: str, key: str = "modern", content: str = "content") -> Mode:
    """Encrypt to a key."""
    recipients = "".join(f" -r {name}@pgp.test" for name in key.split())
    return Mode(f"gpg --batch --quiet --trust-model always --armor{recipients} {options}", content)


def gpg_secret(options: str) -> Mode:
    """Encrypt with a password; decryption needs it, too."""
    loopback = (
        "gpg --batch --quiet --trust-model always --pinentry-mode loopback --passphrase-file secret"
    )
    return Mode(f"{loopback} --armor {options}", decrypt=f"{loopback} --decrypt")


GNUPG = Program(
    name="GnuPG",
    version="gpg --version",
    setup=GPG_KEYS,
    encrypting={
        "Curve25519": gpg("--encrypt"),
        "RSA": gpg("--encrypt", "rsa"),
        "ElGamal": gpg("--encrypt", "elgamal"),
        "NIST P-384": gpg("--encrypt", "nist"),
        "Brainpool": gpg("--encrypt", "brainpool"),
        "X448, a version 5 key": gpg("--encrypt", "goldilocks"),
        "signed and encrypted": gpg("--sign --encrypt -u modern@pgp.test"),
        "several recipients": gpg("--encrypt", "modern rsa elgamal nist brainpool"),
        "hidden recipients (--throw-keyids)": gpg("--throw-keyids --encrypt", "modern rsa"),
        "to oneself too (--encrypt-to)": gpg("--encrypt-to rsa@pgp.test --encrypt"),
        "--comment": gpg("--comment 'made with love' --comment grüße --encrypt"),
        "--emit-version": gpg("--emit-version --encrypt"),
        "--force-ocb": gpg("--force-ocb --encrypt"),
        "--force-ocb --chunk-size 10": gpg(
            "--force-ocb --chunk-size 10 --encrypt", content="large"
        ),
        "uncompressed": gpg("-z 0 --encrypt"),
        "bzip2": gpg("--compress-algo bzip2 --encrypt"),
        "ZLIB": gpg("--compress-algo zlib --encrypt"),
        "3DES": gpg("--allow-old-cipher-algos --cipher-algo 3DES --encrypt"),
        "Camellia": gpg("--cipher-algo CAMELLIA256 --encrypt"),
        "Twofish": gpg("--cipher-algo TWOFISH --encrypt"),
        "--openpgp": gpg("--openpgp --encrypt"),
        "--textmode": gpg("--textmode --encrypt"),
        "325 kB, streamed": gpg("--encrypt", content="large"),
        "empty": gpg("--encrypt", content="empty"),
        "password": gpg_secret("--symmetric"),
        "password, --s2k-mode 1": gpg_secret("--s2k-mode 1 --symmetric"),
        "password, --force-ocb": gpg_secret("--force-ocb --symmetric"),
        "password or key": gpg_secret("-r rsa@pgp.test --symmetric --encrypt"),
    },
    decrypt="gpg --batch --quiet --decrypt",
    readable={
        "signed only": "gpg --batch --armor -u modern@pgp.test --sign",
        "signed only, uncompressed": "gpg --batch --armor -z 0 -u modern@pgp.test --sign",
        "clearsigned": "gpg --batch -u modern@pgp.test --clearsign",
        "a detached signature": "gpg --batch --armor -u modern@pgp.test --detach-sign",
        "--store": "gpg --batch --armor --store",
        "a public key": "gpg --batch --armor --export rsa@pgp.test",
        "--rfc2440, without integrity protection": (
            "gpg --batch --quiet --trust-model always --armor --rfc2440 -r rsa@pgp.test --encrypt"
        ),
    },
)

SQ_KEYS = """
for suite in cv25519 rsa3k; do
    sq key generate --shared-key --without-password --userid "<$suite@pgp.test>" \
        --cipher-suite $suite --profile rfc4880 \
        --output $suite.key --rev-cert $suite.rev 2>/dev/null
done
sq key generate --shared-key --without-password --userid "<v6@pgp.test>" --profile rfc9580 \
    --output v6.key --rev-cert v6.rev 2>/dev/null
"""


def sq(options: str, content: str = "content") -> Mode:
    """Encrypt without a signature unless `options` say so."""
    signer = "" if "--signer" in options else " --without-signature"
    return Mode(f"sq encrypt{signer} {options}", content)


SEQUOIA = Program(
    name="Sequoia",
    version="sq version 2>&1",
    setup=SQ_KEYS,
    encrypting={
        "Curve25519": sq("--for-file cv25519.key"),
        "RSA": sq("--for-file rsa3k.key"),
        "RFC 9580 (version 6 key)": sq("--for-file v6.key"),
        "keys of versions 4 and 6": sq("--for-file cv25519.key --for-file v6.key"),
        "signed and encrypted": sq("--signer-file cv25519.key --for-file rsa3k.key"),
        "signed and encrypted, version 6": sq("--signer-file v6.key --for-file v6.key"),
        "several recipients": sq("--for-file cv25519.key --for-file rsa3k.key"),
        "uncompressed": sq("--compression none --for-file cv25519.key"),
        "bzip2": sq("--compression bzip2 --for-file cv25519.key"),
        "a file name inside": sq("--set-metadata-filename a.txt --for-file cv25519.key"),
        "325 kB, streamed": sq("--for-file cv25519.key", "large"),
        "empty": sq("--for-file cv25519.key", "empty"),
        "password": Mode(
            "sq encrypt --without-signature --with-password-file secret",
            decrypt="sq decrypt --password-file secret",
        ),
        "password or key": sq("--with-password-file secret --for-file cv25519.key"),
    },
    decrypt=(
        "sq decrypt --signatures 0 --recipient-file cv25519.key --recipient-file rsa3k.key"
        " --recipient-file v6.key"
    ),
    readable={
        "signed only": "sq sign --signer-file cv25519.key --message",
        "clearsigned": "sq sign --signer-file cv25519.key --cleartext",
    },
)


def sop(
    name: str, command: str, extra: dict[str, Mode], reader: str = "", package: str = ""
) -> Program:
    """
    Describe a program with the Stateless OpenPGP interface (draft-dkg-openpgp-stateless-cli).

    `reader` decrypts in its place.
    """
    reader = reader or command
    return Program(
        name=name,
        package=package,
        version=f"{command} version",
        setup=f"""
            {command} generate-key alice@pgp.test > alice.key
            {command} extract-cert < alice.key > alice
            {command} generate-key bob@pgp.test > bob.key
            {command} extract-cert < bob.key > bob
        """,
        encrypting={
            "default": Mode(f"{command} encrypt alice"),
            "as text": Mode(f"{command} encrypt --as=text alice"),
            "signed and encrypted": Mode(f"{command} encrypt --sign-with=bob.key alice"),
            "several recipients": Mode(f"{command} encrypt alice bob"),
            "password": Mode(
                f"{command} encrypt --with-password=secret",
                decrypt=f"{reader} decrypt --with-password=secret",
            ),
            "325 kB": Mode(f"{command} encrypt alice", "large"),
            **extra,
        },
        decrypt=f"{reader} decrypt alice.key",
        readable={
            "signed only": f"{command} inline-sign alice.key",
            "clearsigned": f"{command} inline-sign --as=clearsigned alice.key",
        },
    )


def sop_version_6(command: str, profile: str) -> dict[str, Mode]:
    """Encrypt as RFC 9580 describes."""
    make = f"{command} generate-key --profile={profile} six@pgp.test > six.key"
    return {
        "RFC 9580 (version 6 key)": Mode(
            f"{make}; {command} extract-cert < six.key > six; {command} encrypt six",
            decrypt=f"{command} decrypt six.key",
        ),
        "password, RFC 9580 (Argon2)": Mode(
            f"{command} encrypt --profile={profile} --with-password=secret",
            decrypt=f"{command} decrypt --with-password=secret",
        ),
    }


SQOP = sop("Sequoia SOP", "sqop", sop_version_6("sqop", "rfc9580"))
GOSOP = sop("GopenPGP", "gosop", sop_version_6("gosop", "rfc9580"))
# Each start of its Java machine takes a second, so another program decrypts.
PGPAINLESS = sop("PGPainless", "pgpainless-cli", {}, reader="sqop", package="pgpainless-cli")

RNP_COMMAND = "rnp --homedir rnp --notty --output - "


def rnp(options: str, content: str = "content") -> Mode:
    """Encrypt to a key."""
    return Mode(f"{RNP_COMMAND} --encrypt --armor {options}", content)


def rnp_secret(options: str) -> Mode:
    """Encrypt with a password."""
    password = '--password "$(cat secret)"'
    return Mode(
        f"{RNP_COMMAND} {password} --symmetric --armor {options}",
        decrypt=f"{RNP_COMMAND} {password} --decrypt",
    )


RNP = Program(
    name="RNP",
    version="rnp --version",
    setup="""
        mkdir -p -m 700 rnp
        for name in alice bob; do
            rnpkeys --homedir rnp --generate-key --userid $name@pgp.test --password '' >/dev/null
        done
        printf '22\\n' | rnpkeys --homedir rnp --generate-key --expert --userid modern@pgp.test \
            --password '' >/dev/null
    """,
    encrypting={
        "RSA": rnp("-r alice@pgp.test"),
        "Curve25519": rnp("-r modern@pgp.test"),
        "signed and encrypted": rnp("--password '' --sign -u bob@pgp.test -r alice@pgp.test"),
        "several recipients": rnp("-r alice@pgp.test -r bob@pgp.test -r modern@pgp.test"),
        "--aead=EAX": rnp("--aead=EAX -r alice@pgp.test"),
        "--aead=OCB": rnp("--aead=OCB -r alice@pgp.test"),
        "--aead=OCB, 325 kB": rnp("--aead=OCB -r alice@pgp.test", "large"),
        "bzip2": rnp("--bzip -r alice@pgp.test"),
        "uncompressed": rnp("-z 0 -r alice@pgp.test"),
        "Camellia": rnp("--cipher CAMELLIA256 -r alice@pgp.test"),
        "SM4": rnp("--cipher SM4 -r alice@pgp.test"),
        "325 kB, streamed": rnp("-r alice@pgp.test", "large"),
        "password": rnp_secret(""),
        "password, --aead=OCB": rnp_secret("--aead=OCB"),
    },
    decrypt=f"{RNP_COMMAND} --password '' --decrypt",
    readable={
        "signed only": f"{RNP_COMMAND} --password '' --sign --armor -u bob@pgp.test",
        "clearsigned": f"{RNP_COMMAND} --password '' --clearsign -u bob@pgp.test",
    },
)

SCRIPTS = "/usr/local/lib/interop"


def openpgpjs(major: int, modes: dict[str, str], readable: tuple[str, ...]) -> Program:
    """Describe a major version of OpenPGP.js, whose modes are options of a script."""
    script = f"node {SCRIPTS}/openpgp{4 if major == 4 else ''}.js {major}"
    large = "325 kB"
    return Program(
        name=f"OpenPGP.js {major}",
        version=f"{script} version",
        setup=f"{script} keys",
        encrypting={
            name: Mode(
                f"{script} encrypt {options}".rstrip(), "large" if large in name else "content"
            )
            for name, options in modes.items()
        },
        decrypt=f"{script} decrypt",
        batch=script,
        readable={name.replace("-", " "): f"{script} {name}" for name in readable},
    )


OPENPGPJS_MODES = {
    "default": "",
    "RSA": "key=rsa",
    "Version and Comment": "version comment",
    "signed and encrypted": "sign",
    "several recipients": "key=modern key=rsa",
    "hidden recipients": "wildcard",
    "AEAD": "aead key=aead",
    "ZLIB": "zlib",
    "325 kB": "",
    "password": "password",
    "password, AEAD": "password aead",
}
READABLE = ("signed-only", "clearsigned")
OPENPGPJS_4 = openpgpjs(4, OPENPGPJS_MODES, READABLE)
OPENPGPJS_5 = openpgpjs(5, OPENPGPJS_MODES, READABLE)
OPENPGPJS_6 = openpgpjs(
    6,
    {
        **OPENPGPJS_MODES,
        "RFC 9580 (version 6 key)": "key=six",
        "password, Argon2": "password argon2",
    },
    READABLE,
)

PGPY_COMMAND = f"python3 {SCRIPTS}/pgpy_program.py"
PGPY = Program(
    name="PGPy",
    version=f"{PGPY_COMMAND} version",
    setup=f"{PGPY_COMMAND} keys",
    encrypting={
        "Curve25519": Mode(f"{PGPY_COMMAND} encrypt key=modern"),
        "RSA": Mode(f"{PGPY_COMMAND} encrypt key=rsa"),
        "signed and encrypted": Mode(f"{PGPY_COMMAND} encrypt sign key=rsa"),
        "several recipients": Mode(f"{PGPY_COMMAND} encrypt key=modern key=rsa"),
        "bzip2": Mode(f"{PGPY_COMMAND} encrypt BZ2 key=modern"),
        "uncompressed": Mode(f"{PGPY_COMMAND} encrypt Uncompressed key=modern"),
        "Camellia": Mode(f"{PGPY_COMMAND} encrypt Camellia256 key=modern"),
        "325 kB": Mode(f"{PGPY_COMMAND} encrypt key=modern", "large"),
        "password": Mode(f"{PGPY_COMMAND} encrypt password"),
    },
    decrypt=f"{PGPY_COMMAND} decrypt",
    readable={
        "signed only": f"{PGPY_COMMAND} signed-only",
        "clearsigned": f"{PGPY_COMMAND} clearsigned",
    },
)

PROGRAMS = (
    GNUPG,
    SEQUOIA,
    SQOP,
    GOSOP,
    PGPAINLESS,
    RNP,
    OPENPGPJS_4,
    OPENPGPJS_5,
    OPENPGPJS_6,
    PGPY,
)
