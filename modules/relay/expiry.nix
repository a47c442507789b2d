# How things end: the nightly run, and room made in full mailboxes (chatmaild.expiry).
{
  settings,
  names,
  unit,
  ...
}:
let
  inherit (names) sockets users;
  # Both work on mailboxes, as their owner.
  onMailboxes = {
    User = users.mail;
    StateDirectory = "chatmail chatmail/mail";
    StateDirectoryMode = "0700";
  };

  # The largest message must fit above the mark, or it would wait for ever, because nothing else makes room for it.
  largest = 100 * settings.message.maxSize / settings.mailbox.maxSize + 1;
  # Clients warn their users at 80 %.
  trimFrom = if 99 - largest < 75 then 99 - largest else 75;
in
{
  mailbox = {
    # Percent of a mailbox at which its oldest messages are deleted, and percent that is left then.
    inherit trimFrom;
    trimTo = trimFrom - 5;
    # A file takes whole blocks of 4 KB, an inode, and a line in each index. With this many messages, of any sizes, a full mailbox
    # takes about 1.6 times its size of the disk, and at most twice that share of ext4's inodes (one for each 16 KB).
    maxMessages = settings.mailbox.maxSize / 8192;
  };

  units = {
    "chatmail-expire.service" = unit.job {
      description = "chatmail expire: old mail, and accounts that nobody uses";
      program = "chatmail-expire";
      # It decides by the clock.
      order = {
        After = [
          "chatmail-accounts.service"
          "time-sync.target"
        ];
        Wants = [ "time-sync.target" ];
      };
      service = onMailboxes // {
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
    "chatmail-trim.service" = unit.job {
      description = "chatmail trim: room in full mailboxes";
      program = "chatmail-trim";
      sockets = [ "chatmail-trim.socket" ];
      service = onMailboxes // {
        Type = "notify";
      };
    };
    # A request that finds no room in its backlog is not repeated before Dovecot's next warning.
    "chatmail-trim.socket" = unit.socket {
      description = "chatmail trim: Dovecot's word of full mailboxes";
      path = sockets.trim;
      fd = "trim";
      service = "chatmail-trim.service";
      user = users.mail;
      group = users.mail;
      mode = "0600";
    };
  };
}
