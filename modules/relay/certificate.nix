# The TLS certificate: an ACME client obtains it (on NixOS: modules/acme.nix), or the relay makes it.
{
  settings,
  platform,
  names,
  unit,
  ...
}:
if settings.certificate.source == "files" then
  { }
else if settings.certificate.source == "acme" then
  {
    acme = {
      domain = names.host;
      extraDomainNames = [
        "mta-sts.${names.host}"
        "www.${names.host}"
      ];
      inherit (platform.acme) webroot;
    };
  }
else
  {
    units."chatmail-certificate.service" = unit.wanted (
      unit.job {
        description = "chatmail certificate: makes the self-signed certificate";
        program = "chatmail";
        order.Before = [
          "dovecot.service"
          "nginx.service"
          "postfix.service"
        ];
        service = {
          RemainAfterExit = true;
          ExecStart = "${unit.run "chatmail"} certificate";
          User = names.users.certificate;
          # Postfix and Dovecot read the key as root. nginx reads it as this group, because on NixOS it is never root.
          Group = platform.nginx.group;
          StateDirectory = "chatmail-certificate";
          StateDirectoryMode = "0750";
        };
      }
    );

    users.${names.users.certificate}.description = "chatmail certificate";
  }
