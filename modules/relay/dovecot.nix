# Dovecot 2.4: the configuration tree in the shape of NixOS' services.dovecot2.settings (render/dovecot.nix says what prints how).
# It starts unchanged on 2.4.1 and 2.4.5. dovecot_config_version 2.4.1 keeps 2.4.1's defaults on newer versions, so what is
# relied on is written out.
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
  # Who makes room is told in the protocol of Dovecot's `script`, whose argument is an address.
  trim = {
    driver = "unix";
    unix_socket_path = sockets.trim;
  };
  # It is told at each of these percentages of the quota. The first would do; a word that is lost is said again.
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
  # Login processes are few and hold many connections each.
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
    # A reload keeps every connected client; the default cuts the hibernated ones.
    shutdown_clients = false;

    ssl = "required";
    ssl_min_protocol = "TLSv1.3";
    ssl_server_cert_file = files.certificate;
    ssl_server_key_file = files.certificateKey;

    # --- Logs: what happened, not to whom -----------------------------------------------------------------------------
    log_path = "syslog";
    # The default prefix carries the user name, the default login line the client's address.
    mail_log_prefix = "\"%{service}: \"";
    login_log_format = "%{message}";
    # Not empty: with no element at all imap-login of Dovecot 2.4.5 dies at every login (signal 11).
    login_log_format_elements = "%{secured}";
    deliver_log_format = "%{message}";
    auth_verbose = false;

    # --- Who may log in -----------------------------------------------------------------------------------------------
    auth_mechanisms = {
      plain = true;
      login = true;
    };
    auth_username_format = "%{user | lower}";
    # The default, and the brackets around an address.
    ${if names.isAddress then "auth_username_chars" else null} =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@[]";
    # Waiting after a failure would only tie up connections: passwords are long and made by machines. And all who send would wait
    # for one who guesses: unless this is 0 Dovecot counts failures by address, and for Postfix' clients that is one.
    auth_failure_delay = 0;
    auth_cache_size = "50M";
    auth_cache_ttl = "1 hour";
    # Default one hour: mail for an address made a moment ago would bounce.
    auth_cache_negative_ttl = 0;
    sql_driver = "sqlite";
    sqlite_path = files.accountBook;
    sqlite_readonly = true;
    # In this order: known accounts from the book; the rest asks chatmail-accounts, which creates them.
    passdb = [
      {
        _section.name = "sql";
        query = "SELECT address AS user, password, '${files.mailboxes}/' || address AS userdb_home FROM accounts WHERE address = '%{user}' AND blocked = 0";
      }
      {
        _section.name = "oauth2";
        mechanisms_filter = "plain login";
        # Cached, an old password would stay valid beside a new one.
        use_cache = false;
        oauth2 = {
          grant_url = "http://helper/token";
          # The parser wants these two; they are never called.
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
    # config_version 2.4.1 on 2.4.5 would tag every message $HasNoAttachment and keep a file for the tag.
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
    # A mailbox that is full is so for the moment until chatmail-trim has made room: the message waits in the queue
    # instead of coming back to its sender.
    quota_full_tempfail = true;
    # Small messages and empty folders count little or nothing as storage. Clients show the first beside it (RFC 9208: MESSAGE).
    quota_message_count = relay.mailbox.maxMessages;
    # Special-use folders and INBOX count. A chat client needs one, people sort into dozens. One more is refused with NO [LIMIT].
    quota_mailbox_count = 200;
    "quota user" = {
      driver = "count";
    }
    // builtins.listToAttrs (map (warning "storage") shares ++ map (warning "message") shares);
    # Deliveries that end together lift a mailbox over a mark with none of them seeing it. So whoever delivers or logs in to a
    # mailbox that is above the first one says so, too. This root bounds nothing and no client sees it.
    "quota trimming" = {
      driver = "count";
      enforce = false;
      hidden = true;
      quota_storage_percentage = relay.mailbox.trimFrom;
      quota_message_percentage = relay.mailbox.trimFrom;
      # The word is said when a mailbox is over its quota and the current status, which becomes the argument, is not the mask.
      quota_over_status_current = "%{user}";
      quota_over_status_mask = "-";
      quota_over_status."execute trim" = trim;
    };

    # --- What clients ask the relay through METADATA, and what the relay is told --------------------------------------
    imap_metadata = true;
    mail_server_admin =
      if settings.privacy.mail == null then null else "mailto:${settings.privacy.mail}";
    mail_attribute = dict "metadata";
    last_login = dict "lastlogin";
    notify_status = dict "status";
    # Who sent it: a client's own copies wake nobody. And a number, since a message that went to several is told twice.
    notify_status_value = "%{uidnext} %{event:mail_from | default}";
    "mailbox INBOX".notify_status = true;

    imap_capability = {
      XCHATMAIL = true;
      XDELTAPUSH = settings.push.enable;
      # A compressed connection cannot hibernate; it costs 1.7 MB instead of 7 kB.
      "\"COMPRESS=DEFLATE\"" = false;
    };
    # Dovecot drops an announcement that waits (pkgs/dovecot) at the moment a client hibernates, so a message that arrives just
    # then is told with the next one only. The fewer moments of that kind, and the further from a conversation, the better;
    # the price is 1.7 MB for each client that was active within the last 30 s.
    imap_hibernate_timeout = "30s";
    # What chatmail-trim deletes while Dovecot looks through the directory, for the very mail that made it necessary, can escape
    # that look and waits for the next one: so long after the last change. After hibernation there is none (the default is 30 s).
    mailbox_idle_check_interval = "5s";

    "protocol imap".mail_plugins = {
      last_login = true;
      imap_quota = true;
    };
    # Only here: in IMAP it would fire on every change of a flag.
    "protocol lmtp" = {
      lmtp_add_received_header = false;
      # Postfix brings at most 20 messages at once. The default lets 10 of them be for one user and turns the rest away
      # with a 451, which delays them by half a minute.
      lmtp_user_concurrency_limit = 100;
      mail_plugins = {
        notify = true;
        notify_status = true;
      };
    };

    # --- Processes ----------------------------------------------------------------------------------------------------
    "service auth" = {
      client_limit = settings.connections.imap + 2 * settings.connections.smtp + 1000;
      "unix_listener ${listeners.sasl}" = forPostfix "0600";
    };
    # It reads the account book: as the owner of the directory it can open a WAL database that nobody else has open.
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
    # Reused processes: 817 TLS logins a second instead of 228, and a fifth of the CPU. Each holds an inotify instance.
    "service imap" = {
      process_min_avail = 4;
      restart_request_count = 1000;
      idle_kill_interval = "10s";
      process_limit = settings.connections.imap;
      # Without it a hibernated client is cut at its wake-up (2.4.1, and newer ones with config_version 2.4.1).
      "unix_listener imap-master".user = platform.dovecot.user;
    };
    # Somebody who is blocked or deleted is forgotten at once and cut off. Only the owner may open the socket, so it asks for no
    # password (Dovecot wants mode 0600 for that), and these two commands are all that any such socket takes.
    "service doveadm"."unix_listener ${listeners.doveadm}" = {
      user = users.mail;
      mode = "0600";
    };
    doveadm_allowed_commands = {
      kick = true;
      "\"auth cache flush\"" = true;
    };
    "service imap-hibernate".client_limit = settings.connections.imap + 1000;
    "service lmtp" = {
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
      # Two descriptors for each hibernated client and one for its TLS connection.
      LimitNOFILE = 524288;
    };
  };

  sysctl = {
    # One instance for each idle IMAP client, all of them the mailbox user's.
    "fs.inotify.max_user_instances" = 2 * settings.connections.imap + 1024;
    "fs.inotify.max_user_watches" = 16 * settings.connections.imap + 8192;
  };

  ports = { inherit (ports) imap imaps; };
}
