# Deletion: the nightly run, and the trimming of full mailboxes (chatmaild.expiry).
{
  settings,
  names,
  unit,
  ...
}:
let
  inherit (names) sockets users;
  # Both services work on mailboxes, as their owner.
  onMailboxes = {
    User = users.mail;
    StateDirectory = "chatmail chatmail/mail";
    StateDirectoryMode = "0700";
  };

  # The largest message must fit between this mark and a full mailbox. Below the mark nothing is deleted, so it would wait for
  # ever.
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
      description = "chatmail expire: deletes old mail and idle accounts";
      program = "chatmail-expire";
      # Its decisions depend on the clock.
      order = {
        After = [
          "chatmail-accounts.service"
          "time-sync.target"
        ];
        Wants = [ "time-sync.target" ];
      };
      service = onMailboxes // {
        # Everything else has priority on processor and disk.
        CPUSchedulingPolicy = "idle";
        IOSchedulingClass = "idle";
        Nice = 19;
      };
    };
    "chatmail-expire.timer" = {
      Unit.Description = "chatmail expire: every night";
      Timer = {
        OnCalendar = "*-*-* 03:00:00 UTC";
        # So that relays on one host, or at one provider, do not all start at once.
        RandomizedDelaySec = "1h";
        Persistent = true;
      };
      Install.WantedBy = [ "timers.target" ];
    };

    # The first request starts it, and it ends when there are no more. So it needs no memory between requests.
    "chatmail-trim.service" = unit.job {
      description = "chatmail trim: makes room in full mailboxes";
      program = "chatmail-trim";
      sockets = [ "chatmail-trim.socket" ];
      service = onMailboxes // {
        Type = "notify";
      };
    };
    # Dovecot does not repeat a warning for which the backlog has no room.
    "chatmail-trim.socket" = unit.socket {
      description = "chatmail trim: warnings of Dovecot about full mailboxes";
      path = sockets.trim;
      fd = "trim";
      service = "chatmail-trim.service";
      user = users.mail;
      group = users.mail;
      mode = "0600";
    };
  };
}
