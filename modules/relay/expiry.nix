# How things end: the nightly run, and room made in full mailboxes (chatmaild.expiry).
{
  settings,
  platform,
  names,
  hardening,
}:
let
  inherit (names) files sockets users;
  inherit (platform) programs;
  # Both work on mailboxes, as their owner, and behind everybody else: a processor that anyone wants is not theirs.
  service = {
    User = users.mail;
    StateDirectory = "chatmail chatmail/mail";
    StateDirectoryMode = "0700";
  };
in
{
  units = {
    "chatmail-expire.service" = {
      Unit = {
        Description = "chatmail expire: old mail, and accounts that nobody uses";
        # It decides by the clock.
        After = [
          "chatmail-accounts.service"
          "time-sync.target"
        ];
        Wants = [ "time-sync.target" ];
        # An operator who asks for it six times in ten seconds gets it six times.
        StartLimitIntervalSec = 0;
      };
      Service =
        hardening
        // service
        // {
          Type = "oneshot";
          ExecStart = "${programs.chatmail-expire} --config ${files.config}";
          # Whoever else wants the processor or the disk gets it.
          CPUSchedulingPolicy = "idle";
          IOSchedulingClass = "idle";
          Nice = 19;
        };
    };
    "chatmail-expire.timer" = {
      Unit.Description = "chatmail expire: every night";
      Timer = {
        OnCalendar = "*-*-* 03:00:00 UTC";
        # Relays on one host, or all those of one provider, do not start at the same second.
        RandomizedDelaySec = "1h";
        Persistent = true;
      };
      Install.WantedBy = [ "timers.target" ];
    };

    # Started by the first request and ended by itself when there are no more, so it costs nothing at rest.
    "chatmail-trim.service" = {
      Unit = {
        Description = "chatmail trim: room in full mailboxes";
        Requires = [ "chatmail-trim.socket" ];
        After = [ "chatmail-trim.socket" ];
        StartLimitIntervalSec = 0;
      };
      Service =
        hardening
        // service
        // {
          Type = "notify";
          ExecStart = "${programs.chatmail-trim} --config ${files.config}";
          Sockets = [ "chatmail-trim.socket" ];
        };
    };
    "chatmail-trim.socket" = {
      Unit.Description = "chatmail trim: Dovecot's word of full mailboxes";
      Socket = {
        ListenStream = sockets.trim;
        FileDescriptorName = "trim";
        Service = "chatmail-trim.service";
        SocketUser = users.mail;
        SocketGroup = users.mail;
        SocketMode = "0600";
        DirectoryMode = "0755";
        # A request that finds no room here is not repeated before the next warning.
        Backlog = 4096;
        TriggerLimitIntervalSec = "0";
        RemoveOnStop = true;
      };
      Install.WantedBy = [ "sockets.target" ];
    };
  };
}
