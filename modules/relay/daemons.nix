# Our own daemons: their users, sandboxes and sockets.
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

  # Other parts define sockets of this daemon, too.
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
  # For processes of the daemon's own user.
  private = {
    group = users.mail;
    mode = "0600";
  };
in
{
  units = {
    "chatmail-filter.service" = unit.daemon {
      description = "chatmail filter: mail policy and DKIM";
      program = "chatmail-filter";
      order = {
        Before = [ "postfix.service" ];
        After = [ "network.target" ];
      };
      # It looks up other servers' keys with the resolver on loopback, and connects to nothing else.
      service = unit.reaches.loopback // {
        User = users.filter;
        RuntimeDirectory = "chatmail-filter";
        RuntimeDirectoryMode = "0750";
        StateDirectory = "chatmail-filter";
        StateDirectoryMode = "0700";
        # So that Postfix, a member of the group, can open the socket.
        UMask = "0007";
        # By default glibc takes the buffers of each larger message from the kernel and returns them, page by page: 4 of 11 ms for
        # 1 MB. Python runs one thread at a time, so one arena is enough.
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
      description = "chatmail accounts: creation at first login, METADATA, last login, push notifications";
      program = "chatmail-accounts";
      sockets = socketsOfAccounts;
      order.Before = [ "dovecot.service" ];
      # It sends notifications to the push proxy.
      service = unit.reaches.internet // {
        User = users.mail;
        StateDirectory = "chatmail chatmail/mail";
        StateDirectoryMode = "0700";
        # The filter looks here for accounts whose SMTP sessions must end, and for exceptions from the rule on cleartext. The
        # third directory has the notifications that a killed daemon has not sent. All of it must survive restarts.
        RuntimeDirectory = "chatmail-revoked chatmail-exceptions chatmail-push";
        RuntimeDirectoryMode = "0711";
        RuntimeDirectoryPreserve = true;
        # It reads /proc/meminfo and /proc/loadavg to decide about new accounts.
        ProcSubset = "all";
      };
    };
    "chatmail-accounts-grant.socket" = ofAccounts "grant" {
      description = "chatmail accounts: logins unknown to Dovecot";
      group = platform.dovecot.group;
      mode = "0660";
    };
    "chatmail-accounts-dict.socket" = ofAccounts "dict" (
      private // { description = "chatmail accounts: Dovecot's dict protocol"; }
    );
    "chatmail-accounts-registrar.socket" = ofAccounts "registrar" {
      description = "chatmail accounts: requests of chatmail-web";
      group = users.web;
      mode = "0660";
    };
    "chatmail-accounts-control.socket" = ofAccounts "control" (
      private // { description = "chatmail accounts: requests of the chatmail command"; }
    );

    "chatmail-tls.service" = unit.daemon {
      description = "chatmail tls: TLS policies of other domains (DANE, MTA-STS)";
      program = "chatmail-tls";
      sockets = [ "chatmail-tls.socket" ];
      order.Before = [ "postfix.service" ];
      # It fetches policies from the hosts of other domains.
      service = unit.reaches.internet // {
        User = users.tls;
        StateDirectory = "chatmail-tls";
        StateDirectoryMode = "0700";
      };
    };
    "chatmail-tls.socket" = unit.socket {
      description = "chatmail tls: requests of Postfix";
      path = sockets.tlsPolicy;
      fd = "tls-policy";
      service = "chatmail-tls.service";
      user = users.tls;
      group = platform.postfix.group;
      mode = "0660";
    };

    "chatmail-web.service" = unit.daemon {
      description = "chatmail web: new addresses and mail over HTTPS";
      program = "chatmail-web";
      sockets = [ "chatmail-web.socket" ];
      # It hands mail that arrived over HTTPS to Postfix on loopback, and connects to nothing else.
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
      description = "chatmail web: requests of nginx";
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

  # So that Postfix can open the filter's socket.
  groups.${users.filter} = [ platform.postfix.user ];
}
