# chatmaild.json: what our daemons are told, all in one file (chatmaild.config reads it).
{
  settings,
  platform,
  names,
  records,
  metrics,
  units,
}:
let
  inherit (builtins) attrNames filter lessThan sort;
  inherit (names) files sockets;
  inherit (platform) programs;
in
{
  inherit (names) host;
  domain = names.mailDomain;
  inherit (settings)
    registration
    sending
    incoming
    admission
    addresses
    push
    ;
  mailbox = settings.mailbox // {
    maxMessages = names.bounds.messages;
    trimFrom = names.trimming.from;
    trimTo = names.trimming.to;
  };
  # The limit per network is nginx'.
  accounts = removeAttrs settings.accounts [ "perNetworkPerMinute" ];
  message = { inherit (settings.message) maxSize; };
  https = {
    inherit (names.proxied) smtp;
  };
  certificate = { inherit (settings.certificate) source; };
  inherit (settings) retention privacy;
  metadata = {
    irohRelay = if settings.iroh.enable then "https://${names.host}" else settings.iroh.url;
    turn =
      if settings.turn.enable then
        {
          inherit (names) host;
          port = names.ports.turn;
          secretFile = files.turnSecret;
          settingsFile = files.turnConfig;
          serverFile = files.turnServer;
        }
      else
        null;
    inherit (settings) appVersions;
  };
  website = {
    inherit (files) site;
    inherit (settings.website) pages;
  };
  echo =
    if settings.echo.enable then
      {
        state = files.echoState;
        invite = files.echoInvite;
        server = programs.deltachat-rpc-server;
        socket = sockets.echo;
      }
    else
      null;
  inherit metrics;
  inherit (records) dkim;
  dns = records.records;
  # What `chatmail status` asks systemd about: all that is started at boot. A socket of a service that is in the list anyway
  # says nothing more.
  units =
    let
      atBoot = name: units ? ${name}.Install;
      listed = name: atBoot name && !(atBoot (units.${name}.Socket.Service or ""));
      ofDistribution = [
        "dovecot.service"
        "nginx.service"
        "postfix.service"
        "unbound.service"
      ];
    in
    sort lessThan (filter listed (attrNames units) ++ ofDistribution);
  paths = {
    inherit (files)
      accountBook
      mailboxes
      dkimKey
      dkimEd25519Key
      certificate
      certificateKey
      nocreate
      stsPolicies
      revoked
      exceptions
      arrivals
      ;
    authorities = platform.caBundle;
    filterSocket = sockets.filter;
    grantSocket = sockets.grant;
    dictSocket = sockets.dict;
    registrarSocket = sockets.registrar;
    controlSocket = sockets.control;
    doveadmSocket = sockets.doveadm;
    webSocket = sockets.web;
    tlsPolicySocket = sockets.tlsPolicy;
  };
}
