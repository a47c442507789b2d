# Dovecot 2.4: the configuration tree in the shape of NixOS' services.dovecot2.settings (printed by render/dovecot.nix). The same
# tree works on 2.4.1 and 2.4.5. dovecot_config_version 2.4.1 keeps 2.4.1's defaults on newer versions, but every setting that the
# relay relies on is written out.
{
  settings,
  platform,
  names,
  unit,
  relay,
  ...
}:
let
  inherit (names)
    files
    listeners
    ports
    proxied
    sockets
    users
    ;
  dict = name: {
    "dict proxy" = {
      inherit name;
      socket_path = sockets.dict;
    };
  };
  forPostfix = mode: {
    user = platform.postfix.user;
    group = platform.postfix.group;
    inherit mode;
  };
  # For processes that run as the owner of the mailboxes.
  forMailboxes = {
    user = users.mail;
    mode = "0600";
  };
  forLogin = {
    user = platform.dovecot.loginUser;
    mode = "0600";
  };
  closed.mode = "0";
  # chatmail-trim is called through the protocol of Dovecot's `script` service, with the address as argument.
  trim = {
    driver = "unix";
    unix_socket_path = sockets.trim;
  };
  # Dovecot sends a warning at each of these quota percentages. One would suffice; the others cover a lost warning.
  shares = map (more: relay.mailbox.trimFrom + more) [
    0
    10
    20
  ];
  warning = resource: share: {
    name = "warning ${resource}${toString share}";
    value = {
      inherit resource;
      "quota_${resource}_percentage" = share;
      threshold = "over";
      "execute trim" = trim // {
        args = "%{user}";
      };
    };
  };
  # A few login processes hold many connections each.
  loginProcesses = 4;
in
{
  dovecot = {
    dovecot_config_version = "2.4.1";
    dovecot_storage_version = "2.4.1";
    protocols = {
      imap = true;
      lmtp = true;
    };
    listen = "*, ::";
    # With this, a reload keeps all clients connected. The default disconnects the hibernated ones.
    shutdown_clients = false;

    ssl = "required";
    ssl_min_protocol = "TLSv1.3";
    ssl_server_cert_file = files.certificate;
    ssl_server_key_file = files.certificateKey;

    # --- Logs: events without user names and addresses ----------------------------------------------------------------
    log_path = "syslog";
    # The default prefix contains the user name, and the default login line contains the client's address.
    mail_log_prefix = "\"%{service}: \"";
    login_log_format = "%{message}";
    # Must not be empty: without any element, imap-login of Dovecot 2.4.5 crashes at every login (signal 11).
    login_log_format_elements = "%{secured}";
    deliver_log_format = "%{message}";
    auth_verbose = false;

    # --- Authentication -----------------------------------------------------------------------------------------------
    auth_mechanisms = {
      plain = true;
      login = true;
    };
    auth_username_format = "%{user | lower}";
    # The default characters plus the brackets around an IP address.
    ${if names.isAddress then "auth_username_chars" else null} =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@[]";
    # A delay after a failure would only tie up connections, because passwords are long and random. One attacker would also delay
    # every submission: unless this is 0, Dovecot counts failures by address, and all clients of Postfix share one.
    auth_failure_delay = 0;
    auth_cache_size = "50M";
    auth_cache_ttl = "1 hour";
    # With the default of one hour, mail to a newly created address would bounce.
    auth_cache_negative_ttl = 0;
    sql_driver = "sqlite";
    sqlite_path = files.accountBook;
    sqlite_readonly = true;
    # The order matters: known accounts come from the account book, and for all others Dovecot asks chatmail-accounts to create
    # them.
    passdb = [
      {
        _section.name = "sql";
        query = "SELECT address AS user, password, '${files.mailboxes}/' || address AS userdb_home FROM accounts WHERE address = '%{user}' AND blocked = 0";
      }
      {
        _section.name = "oauth2";
        mechanisms_filter = "plain login";
        # With the cache, an old password would stay valid beside a new one.
        use_cache = false;
        oauth2 = {
          grant_url = "http://helper/token";
          # The configuration parser requires these two, but Dovecot never calls the URL.
          introspection_mode = "post";
          introspection_url = "http://helper/unused";
          client_id = "dovecot";
          client_secret = "unused";
          username_attribute = "username";
          active_attribute = "active";
          active_value = "yes";
          http_client_request_timeout = "10s";
          http_client_proxy_socket_path = sockets.grant;
        };
      }
    ];
    userdb = [
      { _section.name = "prefetch"; }
      {
        _section.name = "sql";
        query = "SELECT '${files.mailboxes}/' || address AS home FROM accounts WHERE address = '%{user}' AND blocked = 0";
        iterate_query = "SELECT address AS user FROM accounts";
      }
    ];

    # --- Mailboxes ----------------------------------------------------------------------------------------------------
    mail_uid = users.mail;
    mail_gid = users.mail;
    mail_driver = "maildir";
    mail_home = "${files.mailboxes}/%{user}";
    mail_path = "~/Maildir";
    mail_inbox_path = "~/Maildir";
    mailbox_list_index = false;
    # Otherwise Dovecot 2.4.5 with config_version 2.4.1 tags every message $HasNoAttachment and keeps a file for the tag.
    mail_attachment_detection_options = "";
    mail_max_userip_connections = settings.connections.perAddress;
    "namespace inbox" = {
      inbox = true;
      separator = "/";
      "mailbox Drafts" = {
        special_use = "\"\\\\Drafts\"";
      };
      "mailbox Junk" = {
        special_use = "\"\\\\Junk\"";
      };
      "mailbox Trash" = {
        special_use = "\"\\\\Trash\"";
      };
      "mailbox Sent" = {
        special_use = "\"\\\\Sent\"";
      };
      "mailbox \"Sent Messages\"" = {
        special_use = "\"\\\\Sent\"";
      };
    };
    mail_plugins = {
      mail_compress = true;
      quota = true;
    };
    mail_compress_write_method = "zstd";
    mail_fsync = if settings.durable then "optimized" else "never";

    quota_storage_size = "${toString settings.mailbox.maxSize}B";
    quota_storage_grace = 0;
    # A mailbox is full only until chatmail-trim has deleted its oldest messages. So new mail waits in the queue instead of
    # bouncing.
    quota_full_tempfail = true;
    # Small messages and empty folders hardly count as storage, so they have limits of their own. Clients show the number of
    # messages beside the storage (RFC 9208, resource MESSAGE).
    quota_message_count = relay.mailbox.maxMessages;
    # This includes special-use folders and INBOX. A chat client needs one folder, and users who sort their mail need dozens.
    # Dovecot refuses more with NO [LIMIT].
    quota_mailbox_count = 200;
    "quota user" = {
      driver = "count";
    }
    // builtins.listToAttrs (map (warning "storage") shares ++ map (warning "message") shares);
    # Concurrent deliveries can cross a threshold without any of them noticing. So every delivery or login to a mailbox above the
    # first threshold also sends the warning. This quota root enforces no limit and is hidden from clients.
    "quota trimming" = {
      driver = "count";
      enforce = false;
      hidden = true;
      quota_storage_percentage = relay.mailbox.trimFrom;
      quota_message_percentage = relay.mailbox.trimFrom;
      # The warning runs when the mailbox is over quota and quota_over_status_current (passed as the argument) does not match the
      # mask.
      quota_over_status_current = "%{user}";
      quota_over_status_mask = "-";
      quota_over_status."execute trim" = trim;
    };

    # --- METADATA, last login and new-mail notification ---------------------------------------------------------------
    imap_metadata = true;
    mail_server_admin =
      if settings.privacy.mail == null then null else "mailto:${settings.privacy.mail}";
    mail_attribute = dict "metadata";
    last_login = dict "lastlogin";
    notify_status = dict "status";
    # The sender, because a client's copies of its own messages trigger no notification. And the UID, because Dovecot announces a
    # message with several recipients twice.
    notify_status_value = "%{uidnext} %{event:mail_from | default}";
    "mailbox INBOX".notify_status = true;

    imap_capability = {
      XCHATMAIL = true;
      XDELTAPUSH = settings.push.enable;
      # A compressed connection cannot hibernate and takes 1.7 MB instead of 7 kB.
      "\"COMPRESS=DEFLATE\"" = false;
    };
    # When a client hibernates, Dovecot drops a pending announcement (pkgs/dovecot), so the client learns of a message that
    # arrived just then only with the next one. A long timeout makes this rare and moves it away from active conversations. The
    # price is 1.7 MB for each client that was active within the last 30 s.
    imap_hibernate_timeout = "30s";
    # A delivery can trigger chatmail-trim while Dovecot still scans the directory for it. The scan may then miss deleted messages
    # until the next check, this long after the last change. During hibernation there are no checks. The default is 30 s.
    mailbox_idle_check_interval = "5s";

    "protocol imap".mail_plugins = {
      last_login = true;
      imap_quota = true;
    };
    # notify_status is enabled only here, because in IMAP it would fire on every change of a flag.
    "protocol lmtp" = {
      lmtp_add_received_header = false;
      # No Delivered-To: a mailbox has one address.
      lmtp_hdr_delivery_address = "none";
      # Postfix delivers up to 20 messages at once. The default allows 10 of them for one user and refuses the rest with 451,
      # which delays them by half a minute.
      lmtp_user_concurrency_limit = 100;
      mail_plugins = {
        notify = true;
        notify_status = true;
      };
    };

    # --- Processes ----------------------------------------------------------------------------------------------------
    # Every listener's owner is chosen here. Dovecot's own choice for those below is mode 0666: any local user could deliver mail
    # as anyone (lmtp), look up accounts (auth-userdb) or use what the relay does not need (mode 0 closes a listener).
    "service auth" = {
      "unix_listener auth-userdb" = forMailboxes;
      "unix_listener login/login" = forLogin;
      "unix_listener token-login/tokenlogin" = closed;
      client_limit = settings.connections.imap + 2 * settings.connections.smtp + 1000;
      "unix_listener ${listeners.sasl}" = forPostfix "0600";
    };
    # auth-worker reads the account book. As the owner of the directory it can open the WAL database even if no other process has
    # it open.
    "service auth-worker".user = users.mail;
    "service imap-login" = {
      restart_request_count = "unlimited";
      process_min_avail = 2;
      process_limit = loginProcesses;
      client_limit = settings.connections.imap / loginProcesses + 1;
      "inet_listener imap".port = ports.imap;
      "inet_listener imaps".port = ports.imaps;
      # TLS connections that came in on port 443.
      "inet_listener imaps_proxied" = {
        listen = "127.0.0.1";
        port = proxied.imaps;
        ssl = true;
        haproxy = true;
      };
    };
    haproxy_trusted_networks = "127.0.0.1";
    # Reusing processes allows 817 TLS logins per second instead of 228, with a fifth of the CPU time. Each process holds an
    # inotify instance.
    "service imap" = {
      process_min_avail = 4;
      restart_request_count = 1000;
      idle_kill_interval = "10s";
      process_limit = settings.connections.imap;
      # Without this, a hibernated client is disconnected when it wakes up (2.4.1, and newer versions with config_version 2.4.1).
      "unix_listener imap-master" = {
        user = platform.dovecot.user;
        mode = "0600";
      };
      "unix_listener login/imap" = forLogin;
    };
    # chatmail-accounts uses this socket to flush the cached login of a blocked or deleted account and to close its connections.
    # Only the owner can open the socket, so Dovecot asks for no password (it requires mode 0600 for that). Such sockets accept
    # only these two commands.
    "service doveadm"."unix_listener ${listeners.doveadm}" = {
      user = users.mail;
      mode = "0600";
    };
    doveadm_allowed_commands = {
      kick = true;
      "\"auth cache flush\"" = true;
    };
    "service imap-hibernate".client_limit = settings.connections.imap + 1000;
    "service indexer"."unix_listener indexer" = forMailboxes;
    "service dns-client" = {
      "unix_listener dns-client" = closed;
      "unix_listener login/dns-client" = closed;
    };
    "service imap-urlauth"."unix_listener token-login/imap-urlauth" = closed;
    "service imap-urlauth-login"."unix_listener imap-urlauth" = closed;
    "service lmtp" = {
      "unix_listener lmtp" = closed;
      restart_request_count = "unlimited";
      process_min_avail = 2;
      "unix_listener ${listeners.lmtp}" = forPostfix "0600";
    };
  }
  // platform.dovecot.settings;

  dropins."dovecot.service" = unit.addition {
    after = [
      "chatmail-accounts-grant.socket"
      "chatmail-accounts-dict.socket"
      "chatmail-accounts.service"
    ];
    service = unit.withoutNames // {
      # Each hibernated client takes two descriptors, and its TLS connection one more.
      LimitNOFILE = 524288;
    };
  };

  # Never below what the host has by itself.
  sysctl =
    builtins.mapAttrs
      (name: needed: if needed > platform.sysctl.${name} then needed else platform.sysctl.${name})
      {
        # Each idle IMAP client needs one instance, and all of them belong to the mailbox user.
        "fs.inotify.max_user_instances" = 2 * settings.connections.imap + 1024;
        "fs.inotify.max_user_watches" = 16 * settings.connections.imap + 8192;
      };

  ports = { inherit (ports) imap imaps; };
}
