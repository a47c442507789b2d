# Switching to another configuration and back, and a reboot: accounts, the DKIM key and the queue are what they were.
{ pkgs, lib }:
let
  lab = import ./lab.nix { inherit pkgs lib; };
in
{
  name = "chatmail-upgrade";
  globalTimeout = 1200;

  nodes.relay = {
    imports = [ (lab.relay 10 { domain = "_one.test"; }) ];
    specialisation.newer.configuration = {
      services.chatmail.message.maxSize = "20M";
    };
  };

  testScript = ''
    relay.wait_for_unit("multi-user.target")
    for port in [25, 465, 993]:
        relay.wait_for_open_port(port)

    size = "postconf -h message_size_limit"
    switch = "/run/booted-system/{}bin/switch-to-configuration test"


    def state() -> dict[str, str]:
        return {
            "accounts": relay.succeed("chatmail accounts list"),
            "key": relay.succeed("sha256sum /var/lib/chatmail-filter/dkim.pem"),
            "certificate": relay.succeed("sha256sum /var/lib/chatmail-certificate/key.pem"),
            "queue": relay.succeed("postqueue -j | grep -o '\"queue_id\": *\"[^\"]*\"' | sort"),
        }


    with subtest("Somebody has an address, and a message waits for a relay that is away"):
        relay.succeed("doveadm auth login abcdefghi@_one.test a-long-password")
        relay.succeed(
            "printf 'Subject: waiting\\n\\nwaiting\\n'"
            " | sendmail -f abcdefghi@_one.test somebody@_away.test"
        )
        relay.wait_until_succeeds("postqueue -j | grep -q _away.test")
        before = state()
        t.assertIn("abcdefghi@_one.test", before["accounts"])

    with subtest("A switch changes the setting and nothing else"):
        relay.succeed(switch.format("specialisation/newer/"))
        t.assertEqual(relay.succeed(size).strip(), str(20 * 1024 * 1024))
        relay.wait_for_open_port(25)
        t.assertEqual(state(), before)

    with subtest("Going back does too"):
        relay.succeed(switch.format(""))
        t.assertEqual(relay.succeed(size).strip(), str(30 * 1024 * 1024))
        t.assertEqual(state(), before)

    with subtest("A reboot too, and every daemon returns by itself"):
        relay.shutdown()
        relay.start()
        for port in [25, 80, 143, 443, 465, 587, 993]:
            relay.wait_for_open_port(port)
        t.assertEqual(state(), before)
        relay.succeed("doveadm auth login abcdefghi@_one.test a-long-password")
        relay.fail("doveadm auth login abcdefghi@_one.test another-password")

    with subtest("A power cut too"):
        relay.crash()
        relay.start()
        relay.wait_for_open_port(993)
        t.assertEqual(state(), before)
  '';
}
