# Switches to another configuration and back, and reboots: accounts, the DKIM key and the queue must not change.
{ pkgs, lib }:
let
  lab = import ./lab.nix { inherit pkgs lib; };

  # Submits one encrypted message, as a client does.
  submit = pkgs.writeText "submit.py" ''
    import smtplib
    import ssl
    import sys

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sender, password, recipient, path = sys.argv[1:]
    with open(path) as file:
        lines = file.read().splitlines()
    lines = [f"From: <{sender}>" if ln.startswith("From:") else ln for ln in lines]
    with smtplib.SMTP_SSL("127.0.0.1", 465, context=context) as session:
        session.login(sender, password)
        session.sendmail(sender, [recipient], "\r\n".join(lines).encode())
  '';
  message = ../../../pkgs/chatmaild/tests/filter/interop/pgp-gpg-comment.eml;
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


    with subtest("There is an account, and a message waits for a relay that is down"):
        relay.succeed("doveadm auth login abcdefghi@_one.test a-long-password")
        relay.succeed(
            "${pkgs.python3.interpreter} ${submit} abcdefghi@_one.test a-long-password somebody@_away.test ${message}"
        )
        relay.wait_until_succeeds("postqueue -j | grep -q _away.test")
        before = state()
        t.assertIn("abcdefghi@_one.test", before["accounts"])

    with subtest("A switch changes the setting and nothing else"):
        relay.succeed(switch.format("specialisation/newer/"))
        t.assertEqual(relay.succeed(size).strip(), str(20 * 1024 * 1024))
        relay.wait_for_open_port(25)
        t.assertEqual(state(), before)

    with subtest("So does a rollback"):
        relay.succeed(switch.format(""))
        t.assertEqual(relay.succeed(size).strip(), str(30 * 1024 * 1024))
        t.assertEqual(state(), before)

    with subtest("So does a reboot, and every daemon restarts by itself"):
        relay.shutdown()
        relay.start()
        for port in [25, 80, 143, 443, 465, 587, 993]:
            relay.wait_for_open_port(port)
        t.assertEqual(state(), before)
        relay.succeed("doveadm auth login abcdefghi@_one.test a-long-password")
        relay.fail("doveadm auth login abcdefghi@_one.test another-password")

    with subtest("So does a power failure"):
        relay.crash()
        relay.start()
        relay.wait_for_open_port(993)
        t.assertEqual(state(), before)
  '';
}
