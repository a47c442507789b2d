# A certificate from an ACME authority, answered for through nginx on port 80 (relay/nginx serves the challenges).
{ config, lib, ... }:
let
  cfg = config.services.chatmail;
  inherit (cfg) relay;
  inherit (relay.settings) domain;
  daemons = [
    "dovecot"
    "nginx"
    "postfix"
  ];
in
{
  config = lib.mkIf (relay.active && relay.settings.certificate.source == "acme") {
    security.acme = {
      acceptTerms = lib.mkIf (cfg.certificate.email != null) (lib.mkDefault true);
      certs.${domain} = {
        # Left out, it is that of security.acme.defaults, which a null would hide.
        email = lib.mkIf (cfg.certificate.email != null) cfg.certificate.email;
        webroot = "/var/lib/acme/acme-challenge";
        extraDomainNames = [
          "mta-sts.${domain}"
          "www.${domain}"
        ];
        # nginx is the only one that reads the key without being root.
        inherit (config.services.nginx) group;
        reloadServices = map (name: "${name}.service") daemons;
        # Clients remember the key, and the key is what a TLSA record names.
        extraLegoRenewFlags = [ "--reuse-key" ];
      };
    };

    assertions = [
      {
        assertion = config.security.acme.acceptTerms;
        message = ''
          services.chatmail: an ACME authority gives certificates to those who accept its terms of service: write
          `services.chatmail.certificate.email = "you@example.org"`, which accepts them, or `security.acme.acceptTerms = true`
        '';
      }
    ];

    # acme-DOMAIN puts a certificate in place, at first one of its own making; acme-order-renew-DOMAIN asks the authority, which
    # then asks nginx.
    systemd.services =
      lib.genAttrs daemons (_: {
        wants = [ "acme-${domain}.service" ];
        after = [ "acme-${domain}.service" ];
      })
      // {
        "acme-order-renew-${domain}" = {
          wants = [ "nginx.service" ];
          after = [
            "nginx.service"
            "unbound.service"
          ];
        };
      };
  };
}
