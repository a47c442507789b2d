# nixos/tests/common/acme/client: trust in pebble, its address, its terms.
{
  security.acme.acceptTerms = true;
}
