# The echo bot: a client that runs on the relay and reaches only the relay's own ports on loopback. It gets its account from a
# socket of chatmail-accounts.
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
        description = "chatmail echo: a bot that repeats what it is sent";
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
          # The website shows its invite.
          RuntimeDirectory = "chatmail-echo";
          RuntimeDirectoryMode = "0755";
          # A restart is a login, so its account never becomes idle.
          RuntimeMaxSec = "7d";
          # The bot stops its core itself. If systemd stopped both, the bot's last call to the core would fail.
          KillMode = "mixed";
          # Until its first login has succeeded.
          TimeoutStartSec = "3min";
        };
      };
      # A process that can open this socket gets the bot's account, so only the bot may.
      "chatmail-accounts-echo.socket" = unit.socket {
        description = "chatmail accounts: the account of the echo bot";
        path = sockets.echo;
        fd = "echo";
        service = "chatmail-accounts.service";
        user = users.mail;
        group = users.echo;
        mode = "0660";
      };
      # Renders the website again as soon as there is an invite.
      ${if settings.website.root == null then "chatmail-website.path" else null} = {
        Unit.Description = "chatmail website: a changed invite of the echo bot";
        Path.PathChanged = files.echoInvite;
        Install.WantedBy = [ "paths.target" ];
      };
    };

    users.${users.echo}.description = "chatmail echo";
  }
