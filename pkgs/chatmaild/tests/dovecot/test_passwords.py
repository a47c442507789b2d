import pytest

from chatmaild.dovecot import passwords


def test_hash_has_the_form_dovecot_verifies() -> None:
    """Dovecot finds the scheme in the braces. doveadm 2.4.1 accepted this form."""
    assert passwords.hash_password(b"secret123").startswith("{BLF-CRYPT}$2b$06$")


def test_only_the_same_password_verifies() -> None:
    """Characters after the end of the password count too."""
    stored = passwords.hash_password(b"secret123")

    assert passwords.verify(b"secret123", stored)
    assert not passwords.verify(b"secret1234", stored)
    assert not passwords.verify(b"", stored)


def test_equal_passwords_have_different_hashes() -> None:
    """A copied book must not show who shares a password."""
    assert passwords.hash_password(b"secret123") != passwords.hash_password(b"secret123")


@pytest.mark.parametrize("password", [b"", b"x" * 73, b"nul\0inside"])
def test_refuses_passwords_that_bcrypt_would_truncate(password: bytes) -> None:
    """Otherwise a shorter password would be accepted too."""
    assert not passwords.usable(password)
    assert not passwords.verify(password, passwords.hash_password(b"x" * 72))
    with pytest.raises(ValueError, match="1 to 72 bytes"):
        passwords.hash_password(password)


@pytest.mark.parametrize("stored", ["", "{PLAIN}secret123", "{BLF-CRYPT}", "{BLF-CRYPT}$2b$99$x"])
def test_never_accepts_a_foreign_or_broken_hash(stored: str) -> None:
    """Dovecot has already compared these; here they must fail, not raise."""
    assert not passwords.verify(b"secret123", stored)
