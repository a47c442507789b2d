# nixos/tests/common/acme/server: pebble as https://acme.test/dir.
{ }
