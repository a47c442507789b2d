# The certificate from an ACME authority. nginx answers the HTTP-01 challenges on port 80 (see relay/nginx).
{ config, lib, ... }:
let
  cfg = config.services.chatmail;
  inherit (cfg) relay;
  inherit (relay.acme) domain;
  daemons = [
    "dovecot"
    "nginx"
    "postfix"
  ];
in
{
  config = lib.mkIf (relay.active && relay.acme != { }) {
    security.acme = {
      acceptTerms = lib.mkIf (cfg.certificate.email != null) (lib.mkDefault true);
      certs.${domain} = {
        # If unset, security.acme.defaults.email applies; null would override it.
        email = lib.mkIf (cfg.certificate.email != null) cfg.certificate.email;
        inherit (relay.acme) webroot extraDomainNames;
        # nginx is the only daemon that reads the key without being root.
        inherit (config.services.nginx) group;
        reloadServices = map (name: "${name}.service") daemons;
        # Clients remember the key, and TLSA records refer to the key.
        extraLegoRenewFlags = [ "--reuse-key" ];
      };
    };

    assertions = [
      {
        assertion = config.security.acme.acceptTerms;
        message = ''
          services.chatmail: an ACME certificate requires that you accept the authority's terms of service. To accept them, set
          `services.chatmail.certificate.email = "you@example.org"` or `security.acme.acceptTerms = true`
        '';
      }
    ];

    # acme-DOMAIN installs a certificate, initially a self-signed one. acme-order-renew-DOMAIN contacts the authority, which then
    # connects to nginx.
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
