# Relays and their clients: runs the tests of tests/relay, unchanged, on NixOS machines.
{ pkgs, lib }:
let
  lab = import ./lab.nix { inherit pkgs lib; };
in
{
  name = "chatmail-basic";
  globalTimeout = 3600;

  nodes = {
    one = lab.relay 10 { domain = "_one.test"; };
    strict = lab.relay 11 {
      domain = "_strict.test";
      incoming.cleartext = false;
    };
    inherit (lab) dns;
    client = lab.client {
      one = 10;
      strict = 11;
    };
  };

  testScript = ''
    ${lab.begin [
      "dns"
      "one"
      "strict"
    ]}
    with subtest("Every port of a relay answers"):
        for port in [25, 80, 143, 443, 465, 587, 993]:
            one.wait_for_open_port(port)
            strict.wait_for_open_port(port)

    with subtest("No unit failed"):
        failed = one.succeed("systemctl --failed --no-legend --plain").strip()
        t.assertEqual(failed, "")

    with subtest("The sandboxes are in effect"):
        for name in ["chatmail-filter", "chatmail-accounts", "chatmail-web"]:
            one.log(one.succeed(f"systemd-analyze security --no-pager {name}.service"))

    with subtest("The operator's command works"):
        one.succeed("chatmail status")
        t.assertIn("_one.test.", one.succeed("chatmail dns"))

    with subtest("The tests of tests/relay pass"):
        client.succeed("lab-claims relay")
  '';
}
