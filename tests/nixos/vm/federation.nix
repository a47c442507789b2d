# Two relays that find each other through the DNS records that they print for their operators.
{ pkgs, lib }:
let
  lab = import ./lab.nix { inherit pkgs lib; };
in
{
  name = "chatmail-federation";
  globalTimeout = 1800;

  nodes = {
    one = lab.relay 10 { domain = "_one.test"; };
    two = lab.relay 11 { domain = "_two.test"; };
    inherit (lab) dns;
    client = lab.client {
      one = 10;
      two = 11;
    };
  };

  testScript = ''
    ${lab.begin [
      "dns"
      "one"
      "two"
    ]}
    for relay in [one, two]:
        for port in [25, 465, 993]:
            relay.wait_for_open_port(port)

    with subtest("Users of two relays write to each other"):
        client.succeed("lab-claims nixos/inside/federation.py")

    with subtest("A relay that was down gets the mail sent meanwhile"):
        away = "lab-claims nixos/inside/away.py::test_{}"
        client.succeed(away.format("bob_has_an_address"))
        two.shutdown()
        client.succeed(away.format("alice_writes_to_him"))
        one.wait_until_succeeds("postqueue -j | grep -q _two.test")
        two.start()
        two.wait_for_open_port(25)
        one.succeed("postqueue -f")
        client.succeed(away.format("bob_gets_it"))
  '';
}
