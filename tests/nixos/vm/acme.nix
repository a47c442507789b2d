# A certificate from an authority: pebble in nixpkgs' own test set-up, which implements RFC 8555 like Let's Encrypt.
{ pkgs, lib }:
let
  common = "${pkgs.path}/nixos/tests/common/acme";
  domain = "chat.example.test";
in
{
  name = "chatmail-acme";
  globalTimeout = 1200;

  nodes = {
    acme = {
      imports = [ "${common}/server" ];
    };
    relay = {
      imports = [
        "${common}/client"
        ../../../modules
      ];
      services.chatmail = {
        enable = true;
        inherit domain;
        certificate.email = "operator@example.test";
      };
      # Every certificate is due for renewal, so another order renews it.
      security.acme.certs.${domain}.validMinDays = 999999;
      # The machines know each other only from /etc/hosts.
      services.unbound.enableRootTrustAnchor = false;
      virtualisation.memorySize = 1536;
    };
  };

  testScript = ''
    start_all()
    acme.wait_for_open_port(443)
    relay.wait_for_unit("multi-user.target")


    def shown(port: int, what: str) -> str:
        return relay.succeed(
            f"openssl s_client -connect localhost:{port} -servername ${domain} </dev/null 2>/dev/null"
            f" | openssl x509 -noout {what}"
        )


    with subtest("Every daemon starts before the authority has answered"):
        for port in [25, 80, 443, 465, 993]:
            relay.wait_for_open_port(port)

    with subtest("The daemons load the authority's certificate without a restart"):
        started = relay.succeed("systemctl show -P MainPID nginx dovecot postfix")
        relay.succeed("systemctl start acme-order-renew-${domain}.service")
        for port in [443, 465, 993]:
            relay.wait_until_succeeds(
                f"openssl s_client -connect localhost:{port} </dev/null 2>/dev/null"
                " | openssl x509 -noout -issuer | grep -i pebble"
            )
        t.assertEqual(started, relay.succeed("systemctl show -P MainPID nginx dovecot postfix"))

    with subtest("The certificate has all three names"):
        names = shown(443, "-ext subjectAltName")
        for name in ["${domain}", "www.${domain}", "mta-sts.${domain}"]:
            t.assertIn(f"DNS:{name}", names)

    with subtest("The key stays when the certificate is renewed"):
        key, serial = shown(993, "-pubkey"), shown(993, "-serial")
        relay.succeed("systemctl start acme-order-renew-${domain}.service")
        relay.wait_until_succeeds(
            "openssl s_client -connect localhost:993 </dev/null 2>/dev/null"
            f" | openssl x509 -noout -serial | grep -v {serial.strip()}"
        )
        t.assertEqual(key, shown(993, "-pubkey"))
  '';
}
