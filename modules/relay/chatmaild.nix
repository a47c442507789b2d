# Our own daemons: what they read (chatmaild.json), as whom and in which sandbox they run, and the sockets they are reached by.
{
  settings,
  platform,
  names,
  hardening,
  records,
}:
let
  inherit (names) files sockets users;
  inherit (platform) programs;
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
in
{
  config = {
    inherit domain;
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
      irohRelay = if settings.iroh.enable then "https://${domain}" else settings.iroh.url;
      turn =
        if settings.turn.enable then
          {
            host = domain;
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
        Requires = [
          "chatmail-accounts-grant.socket"
          "chatmail-accounts-dict.socket"
          "chatmail-accounts-registrar.socket"
          "chatmail-accounts-control.socket"
        ];
        After = [
          "chatmail-accounts-grant.socket"
          "chatmail-accounts-dict.socket"
          "chatmail-accounts-registrar.socket"
          "chatmail-accounts-control.socket"
        ];
        Before = [ "dovecot.service" ];
      };
      service = {
        User = users.mail;
        Sockets = [
          "chatmail-accounts-grant.socket"
          "chatmail-accounts-dict.socket"
          "chatmail-accounts-registrar.socket"
          "chatmail-accounts-control.socket"
        ];
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
    if settings.certificate.source != "self-signed" then
      { }
    else
      {
        "chatmail-certificate.service" = {
          Unit = {
            Description = "chatmail certificate: made by the relay itself, its key kept";
            Before = [
              "dovecot.service"
              "nginx.service"
              "postfix.service"
            ];
            StartLimitIntervalSec = 0;
          };
          Service = hardening // {
            Type = "oneshot";
            RemainAfterExit = true;
            # Root alone reads the key, as the daemons do before they drop their rights; a sandboxed root needs no capability.
            ExecStart = "${programs.chatmail} --config ${files.config} certificate";
            StateDirectory = "chatmail-certificate";
            StateDirectoryMode = "0700";
          };
          Install.WantedBy = [ "multi-user.target" ];
        };
      }
  );

  users = {
    ${users.mail} = {
      description = "chatmail mailboxes";
      memberOf = [ ];
    };
    ${users.filter} = {
      description = "chatmail filter";
      memberOf = [ ];
    };
    ${users.tls} = {
      description = "chatmail tls";
      memberOf = [ ];
    };
    ${users.web} = {
      description = "chatmail web";
      memberOf = [ ];
    };
    # Not ours, but must reach the filter's socket.
    ${platform.postfix.user} = {
      existing = true;
      memberOf = [ users.filter ];
    };
  };
}
