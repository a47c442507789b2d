# Where the certificate comes from: an ACME client obtains it (NixOS: modules/acme.nix), or the relay makes it itself.
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
        description = "chatmail certificate: made by the relay itself, its key kept";
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
          # Postfix and Dovecot read the key as root; nginx need not be root anywhere.
          Group = platform.nginx.group;
          StateDirectory = "chatmail-certificate";
          StateDirectoryMode = "0750";
        };
      }
    );

    users.${names.users.certificate}.description = "chatmail certificate";
  }
