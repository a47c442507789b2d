# chatmaild.json: what our daemons are told, all in one file (chatmaild.config reads it).
{
  settings,
  platform,
  names,
  records,
}:
let
  inherit (names) files sockets;
  inherit (platform) programs;
<<<<<<< Updated upstream
=======
  domain = settings.domain;

  restart = import ./restart.nix;

  daemon =
    {
      description,
      program,
      unit ? { },
      service,
    }:
    {
      Unit = {
        Description = description;
        StartLimitIntervalSec = 0;
      }
      // unit;
      Service =
        hardening
        // restart
        // {
          Type = "notify";
          ExecStart = "${programs.${program}} --config ${files.config}";
        }
        // service;
      Install.WantedBy = [ "multi-user.target" ];
    };

  # systemd holds the socket: while the daemon restarts, callers wait instead of being refused.
  socket =
    {
      description,
      path,
      fd,
      service,
      user,
      group,
      mode,
    }:
    {
      Unit.Description = description;
      Socket = {
        ListenStream = path;
        FileDescriptorName = fd;
        Service = service;
        SocketUser = user;
        SocketGroup = group;
        SocketMode = mode;
        DirectoryMode = "0755";
        Backlog = 4096;
        # Without a limit a daemon that cannot start would be started for every caller.
        TriggerLimitIntervalSec = "0";
        RemoveOnStop = true;
      };
      Install.WantedBy = [ "sockets.target" ];
    };
  accountsSockets = [
    "chatmail-accounts-grant.socket"
    "chatmail-accounts-dict.socket"
    "chatmail-accounts-registrar.socket"
    "chatmail-accounts-control.socket"
  ]
  ++ (if settings.echo.enable then [ "chatmail-accounts-echo.socket" ] else [ ]);
>>>>>>> Stashed changes
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
<<<<<<< Updated upstream
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
=======
          state = files.echoState;
          invite = files.echoInvite;
          server = programs.deltachat-rpc-server;
          socket = sockets.echo;
        }
      else
        null;
    dkim = { inherit (records.dkim) selector; };
    dns = records.records;
    units = [
      "chatmail-accounts.service"
      "chatmail-filter.service"
      "chatmail-tls.service"
      "chatmail-web.service"
      "dovecot.service"
      "nginx.service"
      "postfix.service"
      "unbound.service"
    ]
    ++ (if settings.echo.enable then [ "chatmail-echo.service" ] else [ ]);
    paths = {
      inherit (files)
        accountBook
        mailboxes
        dkimKey
        certificate
        certificateKey
        nocreate
        revoked
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
  };

  units = {
    "chatmail-filter.service" = daemon {
      description = "chatmail filter: what may be sent, what may come in, DKIM";
      program = "chatmail-filter";
      unit = {
        Before = [ "postfix.service" ];
        After = [ "network.target" ];
      };
      service = {
        User = users.filter;
        RuntimeDirectory = "chatmail-filter";
        RuntimeDirectoryMode = "0750";
        StateDirectory = "chatmail-filter";
        StateDirectoryMode = "0700";
        # Postfix's group membership opens the socket to it.
        UMask = "0007";
        # Keys of other servers come from the resolver on loopback, and nothing else is on its way.
        PrivateNetwork = false;
        IPAddressDeny = "any";
        IPAddressAllow = "localhost";
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
      };
    };

    "chatmail-accounts.service" = daemon {
      description = "chatmail accounts: creation at first login, METADATA, last login, news of new mail";
      program = "chatmail-accounts";
      unit = {
        Requires = accountsSockets;
        After = accountsSockets;
        Before = [ "dovecot.service" ];
      };
      service = {
        User = users.mail;
        Sockets = accountsSockets;
        StateDirectory = "chatmail chatmail/mail";
        StateDirectoryMode = "0700";
        # Whose SMTP sessions must end: the filter looks for names in there. It stays as long as the sessions may, over restarts.
        RuntimeDirectory = "chatmail-revoked";
        RuntimeDirectoryMode = "0711";
        RuntimeDirectoryPreserve = true;
        # Admission reads /proc/meminfo and /proc/loadavg.
        ProcSubset = "all";
        # Notifications go to the push proxy, wherever it is.
        PrivateNetwork = false;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
      };
    };
    "chatmail-accounts-grant.socket" = socket {
      description = "chatmail accounts: logins that Dovecot asks about";
      path = sockets.grant;
      fd = "grant";
      service = "chatmail-accounts.service";
      user = users.mail;
      group = platform.dovecot.group;
      mode = "0660";
    };
    "chatmail-accounts-dict.socket" = socket {
      description = "chatmail accounts: Dovecot's dict protocol";
      path = sockets.dict;
      fd = "dict";
      service = "chatmail-accounts.service";
      user = users.mail;
      group = users.mail;
      mode = "0600";
    };

    "chatmail-accounts-registrar.socket" = socket {
      description = "chatmail accounts: what chatmail-web asks";
      path = sockets.registrar;
      fd = "registrar";
      service = "chatmail-accounts.service";
      user = users.mail;
      group = users.web;
      mode = "0660";
    };
    "chatmail-accounts-control.socket" = socket {
      description = "chatmail accounts: what the operator's command asks";
      path = sockets.control;
      fd = "control";
      service = "chatmail-accounts.service";
      user = users.mail;
      group = users.mail;
      mode = "0600";
    };

    "chatmail-tls.service" = daemon {
      description = "chatmail tls: which TLS each destination must offer (DANE, MTA-STS)";
      program = "chatmail-tls";
      unit = {
        Requires = [ "chatmail-tls.socket" ];
        After = [ "chatmail-tls.socket" ];
        Before = [ "postfix.service" ];
      };
      service = {
        User = users.tls;
        Sockets = [ "chatmail-tls.socket" ];
        # Policies are fetched from other domains' hosts.
        PrivateNetwork = false;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
      };
    };
    "chatmail-tls.socket" = socket {
      description = "chatmail tls: questions of Postfix";
      path = sockets.tlsPolicy;
      fd = "tls-policy";
      service = "chatmail-tls.service";
      user = users.tls;
      group = platform.postfix.group;
      mode = "0660";
    };

    "chatmail-web.service" = daemon {
      description = "chatmail web: new addresses over HTTPS";
      program = "chatmail-web";
      unit = {
        Requires = [ "chatmail-web.socket" ];
        After = [ "chatmail-web.socket" ];
      };
      service = {
        User = users.web;
        Sockets = [ "chatmail-web.socket" ];
        # Mail that came in over HTTPS goes to Postfix on loopback, and nothing else goes anywhere.
        PrivateNetwork = false;
        IPAddressDeny = "any";
        IPAddressAllow = "localhost";
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
        ];
      };
    };
    "chatmail-web.socket" = socket {
      description = "chatmail web: nginx' way to it";
      path = sockets.web;
      fd = "web";
      service = "chatmail-web.service";
      user = users.web;
      group = platform.nginx.group;
      mode = "0660";
    };
  }
  // (
    if !settings.echo.enable then
      { }
    else
      {
        # Whoever can open it gets the bot's account, so nobody but the bot can.
        "chatmail-accounts-echo.socket" = socket {
          description = "chatmail accounts: the account of the echo bot";
          path = sockets.echo;
          fd = "echo";
          service = "chatmail-accounts.service";
          user = users.mail;
          group = users.echo;
          mode = "0660";
        };
      }
  )
  // (
    if settings.certificate.source != "self-signed" then
      { }
    else
>>>>>>> Stashed changes
      {
        state = files.echoState;
        invite = files.echoInvite;
        server = programs.deltachat-rpc-server;
      }
    else
      null;
  inherit (records) dkim;
  dns = records.records;
  units = [
    "chatmail-accounts.service"
    "chatmail-filter.service"
    "chatmail-tls.service"
    "chatmail-web.service"
    "dovecot.service"
    "nginx.service"
    "postfix.service"
    "unbound.service"
  ];
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
