# The Raspberry Pi's set-up by chatmail.txt, with the Pi's configuration in a virtual machine. There is no network to rebuild a
# system, so `nixos-rebuild` here switches to a relay that was built before.
{ pkgs, lib }:
{
  name = "chatmail-raspberry-pi";
  globalTimeout = 3600;
  # The host sets its platform itself.
  node.pkgsReadOnly = false;

  nodes.pi = {
    imports = [ ../../../hosts/raspberry-pi ];
    specialisation.relay.configuration.services.chatmail = {
      enable = true;
      domain = "_pi.test";
    };
    # Replaces NixOS' own.
    system.tools.nixos-rebuild.enable = lib.mkForce false;
    environment.systemPackages = [
      (pkgs.writeShellApplication {
        name = "nixos-rebuild";
        text = ''
          echo "$@" >/run/rebuilt-with
          exec /run/booted-system/specialisation/relay/bin/switch-to-configuration test
        '';
      })
    ];
    virtualisation.memorySize = 1024;
  };

  testScript = ''
    card = "/boot/firmware/chatmail.txt"


    def start() -> str:
        """Start the set-up once more; what it has to say."""
        pi.execute("systemctl restart chatmail-setup.service")
        return pi.succeed("cat /etc/issue.d/chatmail.issue")


    pi.wait_for_unit("multi-user.target")
    pi.succeed("mkdir -p /boot/firmware")

    with subtest("Without a text nothing runs and no port is open"):
        t.assertIn("chatmail.txt is missing on the card", start())
        for port in [22, 25, 443, 993]:
            pi.wait_for_closed_port(port)
        pi.fail("systemctl cat postfix.service")

    with subtest("Errors are shown on the screen and in the journal, and nothing changes"):
        pi.succeed(f"echo 'domain = Chat' > {card}")
        for said in [start(), pi.succeed("journalctl -u chatmail-setup")]:
            t.assertIn("`domain` is", said)
            t.assertIn("`ssh-key` is missing", said)
        pi.fail("test -e /run/rebuilt-with")

    with subtest("A correct text makes the relay"):
        key = "ssh-ed25519 " + "A" * 68
        pi.succeed(f"printf 'domain = _pi.test\\r\\nssh-key = {key}\\r\\n' > {card}")
        t.assertIn("This is now the relay _pi.test", start())
        t.assertIn("path:/etc/nixos#raspberry-pi", pi.succeed("cat /run/rebuilt-with"))
        for port in [25, 465, 993]:
            pi.wait_for_open_port(port)
  '';
}
