# A certificate that the relay makes itself, at boot and before whoever shows it.
{
  settings,
  unit,
  ...
}:
{
  units =
    if settings.certificate.source != "self-signed" then
      { }
    else
      {
        "chatmail-certificate.service" = unit.wanted (
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
              # Root alone reads the key, as the daemons do before they drop their rights; a sandboxed root needs no capability.
              ExecStart = "${unit.run "chatmail"} certificate";
              StateDirectory = "chatmail-certificate";
              StateDirectoryMode = "0700";
            };
          }
        );
      };
}
