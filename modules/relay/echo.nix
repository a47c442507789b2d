# The echo bot: a client of the relay on the relay, which reaches nothing but the relay's own ports on loopback.
{
  settings,
  platform,
  names,
  hardening,
}:
let
  inherit (names) files users;
  restart = import ./restart.nix;
in
if !settings.echo.enable then
  {
    units = { };
    users = { };
  }
else
  {
    units = {
      "chatmail-echo.service" = {
        Unit = {
          Description = "chatmail echo: a bot that answers everyone";
          After = [
            "chatmail-accounts.service"
            "dovecot.service"
            "postfix.service"
          ];
          StartLimitIntervalSec = 0;
        };
        Service =
          hardening
          // restart
          // {
            Type = "notify";
            ExecStart = "${platform.programs.chatmail-echo} --config ${files.config}";
            User = users.echo;
            StateDirectory = "chatmail-echo";
            StateDirectoryMode = "0700";
            # Its invite is for everyone, and the website shows it.
            RuntimeDirectory = "chatmail-echo";
            RuntimeDirectoryMode = "0755";
            # A login now and then, so that it is never an idle account.
            RuntimeMaxSec = "7d";
            # It waits for its first login.
            TimeoutStartSec = "3min";
            PrivateNetwork = false;
            IPAddressDeny = "any";
            IPAddressAllow = "localhost";
            RestrictAddressFamilies = [
              "AF_UNIX"
              "AF_INET"
              "AF_INET6"
            ];
          };
        Install.WantedBy = [ "multi-user.target" ];
      };
    }
    // (
      if settings.website.root != null then
        { }
      else
        {
          # The website shows the invite from the moment that there is one.
          "chatmail-website.path" = {
            Unit.Description = "chatmail website: a new invite of the echo bot";
            Path.PathChanged = files.echoInvite;
            Install.WantedBy = [ "paths.target" ];
          };
        }
    );

    users.${users.echo} = {
      description = "chatmail echo";
      memberOf = [ ];
    };
  }
