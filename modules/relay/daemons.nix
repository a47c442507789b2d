# Our own daemons: as whom and in which sandbox they run, and the sockets they are reached by.
{
  platform,
  names,
  unit,
  relay,
  ...
}:
let
  inherit (builtins) attrNames filter;
  inherit (names) sockets users;

  # Other parts have sockets of this daemon, too.
  socketsOfAccounts = filter (
    name: relay.units.${name}.Socket.Service or null == "chatmail-accounts.service"
  ) (attrNames relay.units);

  ofAccounts =
    fd: more:
    unit.socket (
      {
        inherit fd;
        path = sockets.${fd};
        service = "chatmail-accounts.service";
        user = users.mail;
      }
      // more
    );
  # Only for those who are its user.
  private = {
    group = users.mail;
    mode = "0600";
  };
in
{
  units = {
    "chatmail-filter.service" = unit.daemon {
      description = "chatmail filter: what may be sent, what may come in, DKIM";
      program = "chatmail-filter";
      order = {
        Before = [ "postfix.service" ];
        After = [ "network.target" ];
      };
      # Keys of other servers come from the resolver on loopback, and nothing else is on its way.
      service = unit.reaches.loopback // {
        User = users.filter;
        RuntimeDirectory = "chatmail-filter";
        RuntimeDirectoryMode = "0750";
        StateDirectory = "chatmail-filter";
        StateDirectoryMode = "0700";
        # Postfix's group membership opens the socket to it.
        UMask = "0007";
        # Otherwise glibc gets the buffers of each larger message from the kernel and gives them back, page by page: 4 of
        # 11 ms for 1 MB. Python runs one thread at a time, so one arena is enough for all.
        Environment = "GLIBC_TUNABLES=${
          builtins.concatStringsSep ":" [
            "glibc.malloc.arena_max=1"
            "glibc.malloc.mmap_threshold=8388608"
            "glibc.malloc.trim_threshold=8388608"
          ]
        }";
      };
    };

    "chatmail-accounts.service" = unit.daemon {
      description = "chatmail accounts: creation at first login, METADATA, last login, news of new mail";
      program = "chatmail-accounts";
      sockets = socketsOfAccounts;
      order.Before = [ "dovecot.service" ];
      # Notifications go to the push proxy, wherever it is.
      service = unit.reaches.internet // {
        User = users.mail;
        StateDirectory = "chatmail chatmail/mail";
        StateDirectoryMode = "0700";
        # Whose SMTP sessions must end, and for whom another rule on cleartext holds: the filter looks for names in there. It
        # stays as long as the sessions may, over restarts; and so does the file of those whose new mail a daemon that was killed
        # has not told.
        RuntimeDirectory = "chatmail-revoked chatmail-exceptions chatmail-push";
        RuntimeDirectoryMode = "0711";
        RuntimeDirectoryPreserve = true;
        # Admission reads /proc/meminfo and /proc/loadavg.
        ProcSubset = "all";
      };
    };
    "chatmail-accounts-grant.socket" = ofAccounts "grant" {
      description = "chatmail accounts: logins that Dovecot asks about";
      group = platform.dovecot.group;
      mode = "0660";
    };
    "chatmail-accounts-dict.socket" = ofAccounts "dict" (
      private // { description = "chatmail accounts: Dovecot's dict protocol"; }
    );
    "chatmail-accounts-registrar.socket" = ofAccounts "registrar" {
      description = "chatmail accounts: what chatmail-web asks";
      group = users.web;
      mode = "0660";
    };
    "chatmail-accounts-control.socket" = ofAccounts "control" (
      private // { description = "chatmail accounts: what the operator's command asks"; }
    );

    "chatmail-tls.service" = unit.daemon {
      description = "chatmail tls: which TLS each destination must offer (DANE, MTA-STS)";
      program = "chatmail-tls";
      sockets = [ "chatmail-tls.socket" ];
      order.Before = [ "postfix.service" ];
      # Policies are fetched from other domains' hosts.
      service = unit.reaches.internet // {
        User = users.tls;
        StateDirectory = "chatmail-tls";
        StateDirectoryMode = "0700";
      };
    };
    "chatmail-tls.socket" = unit.socket {
      description = "chatmail tls: questions of Postfix";
      path = sockets.tlsPolicy;
      fd = "tls-policy";
      service = "chatmail-tls.service";
      user = users.tls;
      group = platform.postfix.group;
      mode = "0660";
    };

    "chatmail-web.service" = unit.daemon {
      description = "chatmail web: new addresses over HTTPS";
      program = "chatmail-web";
      sockets = [ "chatmail-web.socket" ];
      # Mail that came in over HTTPS goes to Postfix on loopback, and nothing else goes anywhere.
      service = unit.reaches.loopback // {
        User = users.web;
        StateDirectory = "chatmail-web";
        StateDirectoryMode = "0700";
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
        ];
      };
    };
    "chatmail-web.socket" = unit.socket {
      description = "chatmail web: nginx' way to it";
      path = sockets.web;
      fd = "web";
      service = "chatmail-web.service";
      user = users.web;
      group = platform.nginx.group;
      mode = "0660";
    };
  };

  users = {
    ${users.mail}.description = "chatmail mailboxes";
    ${users.filter}.description = "chatmail filter";
    ${users.tls}.description = "chatmail tls";
    ${users.web}.description = "chatmail web";
  };

  # Postfix must reach the filter's socket.
  groups.${users.filter} = [ platform.postfix.user ];
}
