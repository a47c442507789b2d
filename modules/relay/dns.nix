# The DNS records of a relay as data. `chatmail dns` and the test network use this list.
# A record is { name; type; data; need; } with `need` "required" or "recommended"; TXT data is the string without quotes. The host
# adds its addresses, its DKIM key and the TLSA record of its certificate's key, which are known only there.
{
  settings,
  names,
  relay,
  ...
}:
let
  inherit (builtins) hashString substring;
  domain = names.host;
  record = need: name: type: data: {
    inherit
      need
      name
      type
      data
      ;
  };
  required = record "required";
  recommended = record "recommended";
  reports = if settings.reports.mail != null then settings.reports.mail else settings.privacy.mail;
  at = label: "${label}.${domain}.";
  service =
    label: recommended (at "_${label}._tcp") "SRV" "0 1 ${toString names.ports.${label}} ${domain}.";
  zone = [
    (required "${domain}." "MX" "10 ${domain}.")
    (required (at "www") "CNAME" "${domain}.")
  ]
  ++ (
    # Other servers could not verify a policy that is served with a self-signed certificate.
    if settings.certificate.source == "self-signed" then
      [ ]
    else
      [
        (required (at "mta-sts") "CNAME" "${domain}.")
        # The id must change with the policy (RFC 8461 3.1), so it is a hash of the policy.
        (required (at "_mta-sts") "TXT" "v=STSv1; id=${
          substring 0 16 (hashString "sha256" relay.files.${names.files.mtaStsPolicy}.text)
        }")
      ]
  )
  ++ [
    (recommended "${domain}." "TXT" "v=spf1 a ~all")
    (recommended (at "_dmarc") "TXT" "v=DMARC1;p=reject;adkim=s;aspf=s")
    (recommended (at "_adsp._domainkey") "TXT" "dkim=discardable")
  ]
  # TLS reporting (RFC 8460 3).
  ++ (
    if reports == null then
      [ ]
    else
      [ (recommended (at "_smtp._tls") "TXT" "v=TLSRPTv1; rua=mailto:${reports}") ]
  )
  # No other authority may issue a certificate for this name, by mistake or worse (RFC 8659).
  ++ (
    if settings.certificate.source == "acme" then
      [ (recommended "${domain}." "CAA" "0 issue \"letsencrypt.org\"") ]
    else
      [ ]
  )
  ++ [
    (service "submission")
    (service "submissions")
    (service "imap")
    (service "imaps")
  ];
in
{
  # The DKIM keys, which the host makes. Each is published at its `selector`, in a record with this `need`. Messages are signed
  # with those that have `signs`. A relay at an IP address has no zone to publish a key in.
  dns.dkim =
    if names.isAddress then
      [ ]
    else
      [
        {
          selector = "opendkim";
          kind = "rsa";
          file = "${names.files.dkimKeys}/dkim.pem";
          signs = true;
          need = "required";
        }
      ]
      ++ (
        if !settings.dkim.ed25519 then
          [ ]
        else
          [
            {
              selector = "ed25519";
              kind = "ed25519";
              file = "${names.files.dkimKeys}/dkim-ed25519.pem";
              signs = true;
              # Other servers accept mail without it, because RSA signs every message too.
              need = "recommended";
            }
          ]
      );

  # An IP address needs no records and has no zone.
  dns.records = if names.isAddress then [ ] else zone;
}
