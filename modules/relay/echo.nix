# The echo bot: a client of the relay on the relay, which reaches nothing but the relay's own ports on loopback. A socket of
# chatmail-accounts gives it its account.
{
  settings,
  platform,
  names,
  unit,
  ...
}:
let
  inherit (names) files sockets users;
in
if !settings.echo.enable then
  { chatmaild.echo = null; }
else
  {
    chatmaild.echo = {
      state = files.echoState;
      invite = files.echoInvite;
      server = platform.programs.deltachat-rpc-server;
      socket = sockets.echo;
    };

    units = {
      "chatmail-echo.service" = unit.daemon {
        description = "chatmail echo: a bot that answers everyone";
        program = "chatmail-echo";
        order.After = [
          "chatmail-accounts.service"
          "dovecot.service"
          "nginx.service"
          "postfix.service"
        ];
        service = unit.reaches.loopback // {
          User = users.echo;
          StateDirectory = "chatmail-echo";
          StateDirectoryMode = "0700";
          # Its invite is for everyone, and the website shows it.
          RuntimeDirectory = "chatmail-echo";
          RuntimeDirectoryMode = "0755";
          # A login now and then, so that it is never an idle account.
          RuntimeMaxSec = "7d";
          # The bot ends its core, which otherwise ends before it and leaves it with a call that fails.
          KillMode = "mixed";
          # It waits for its first login.
          TimeoutStartSec = "3min";
        };
      };
      # Whoever can open it gets the bot's account, so nobody but the bot can.
      "chatmail-accounts-echo.socket" = unit.socket {
        description = "chatmail accounts: the account of the echo bot";
        path = sockets.echo;
        fd = "echo";
        service = "chatmail-accounts.service";
        user = users.mail;
        group = users.echo;
        mode = "0660";
      };
      # The website shows the invite from the moment that there is one.
      ${if settings.website.root == null then "chatmail-website.path" else null} = {
        Unit.Description = "chatmail website: a new invite of the echo bot";
        Path.PathChanged = files.echoInvite;
        Install.WantedBy = [ "paths.target" ];
      };
    };

    users.${users.echo}.description = "chatmail echo";
  }
