"""Tests of the renderers: they handle all values, and name the place of a bad one."""

from __future__ import annotations

import pytest

from data.relay_value import EvaluationError, nix


def render(name: str, expression: str) -> str:
    """Return the text that render/NAME.nix prints for a Nix expression."""
    text: str = nix(f'import (relay + "/render/{name}.nix") {expression}')
    return text


def test_dovecot_prints_scalars_lists_blocks_and_named_blocks_in_order() -> None:
    """Versions come first, as Dovecot requires; the order of named blocks matters for passdb."""
    tree = """{
      zeta = true; alpha = null; beta = [ "x" "y" ];
      dovecot_storage_version = "2"; dovecot_config_version = "1";
      "service auth".client_limit = 5;
      passdb = [ { _section.name = "sql"; a = 1; } { _section.name = "oauth2"; } ];
    }"""

    assert render("dovecot", tree) == (
        "dovecot_config_version = 1\n"
        "dovecot_storage_version = 2\n"
        "beta = x y\n"
        "passdb sql {\n  a = 1\n}\n"
        "passdb oauth2 {\n}\n"
        "service auth {\n  client_limit = 5\n}\n"
        "zeta = yes\n"
    )


def test_postfix_prints_lists_and_bools_and_omits_null() -> None:
    """The shapes are those of services.postfix.settings."""
    main = nix(
        '(import (relay + "/render/postfix.nix")).main '
        '{ a = true; b = [ 1 "x" ]; c = null; d = [ ]; }'
    )
    master = nix(
        '(import (relay + "/render/postfix.nix")).master '
        '{ smtp_inet = { name = "smtp"; type = "inet"; private = false; command = "smtpd"; '
        'args = [ "-o" "{ a = b }" ]; }; }'
    )

    assert main == "a = yes\nb = 1, x\nd = \n"
    assert master == "smtp inet n - - - - smtpd -o { a = b }\n"


def test_nginx_prints_words_and_nested_blocks() -> None:
    """Nearly every directive is written in this way."""
    text = render(
        "nginx", '[ "listen 80 ssl" { server = [ { "location = /" = [ "return 404" ]; } ]; } ]'
    )

    assert text == ("listen 80 ssl;\nserver {\n    location = / {\n        return 404;\n    }\n}\n")


def test_nginx_quotes_words_that_need_it() -> None:
    """A space, a quote or a semicolon must not end a word."""
    text = render(
        "nginx",
        '[ { "map $a" = [ [ "~\\\\bx" "y z" ] [ "q\\"" "a;b" "" ] ]; } [ "listen" 80 ] ]',
    )

    assert text == 'map $a {\n    ~\\bx "y z";\n    "q\\"" "a;b" "";\n}\nlisten 80;\n'


def test_nginx_refuses_words_with_a_line_end() -> None:
    """NixOS formats nginx.conf: the body of the 429 answer got the indentation of a second line."""
    with pytest.raises(EvaluationError, match=r"nginx: a word has a line end \(\"too\\nmany\"\)"):
        render("nginx", r'[ [ "return" "429" "too\nmany" ] ]')


@pytest.mark.parametrize(
    ("renderer", "expression", "place"),
    [
        ("dovecot", '{ "service imap".vsz = 1.5; }', "dovecot: service imap/vsz"),
        ("nginx", '[ [ "listen" 1.5 ] ]', "nginx: a word"),
        ("unbound", "{ server.verbosity = null; }", "unbound: server/verbosity"),
    ],
)
def test_a_value_that_cannot_be_printed_is_named(
    renderer: str, expression: str, place: str
) -> None:
    """A wrong type must not become a wrong line."""
    with pytest.raises(EvaluationError, match=f"{place} has no text form"):
        render(renderer, expression)
