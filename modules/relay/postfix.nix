# Postfix: main.cf and master.cf as attribute sets in the shape of NixOS' services.postfix.settings.
# Each parameter is explained where its reason is not its name: https://www.postfix.org/postconf.5.html
{
  settings,
  platform,
  names,
  unit,
  ...
}:
let
  inherit (builtins)
    attrNames
    concatLists
    elemAt
    map
    match
    replaceStrings
    ;
  inherit (names)
    files
    local
    ports
    proxied
    sockets
    ;
  domain = names.mailDomain;
  pattern = replaceStrings [ "." "[" "]" ] [ "\\." "\\[" "\\]" ] domain;

  # How Postfix calls itself, and whose mail goes to Dovecot.
  place =
    if !names.isAddress then
      {
        myhostname = names.host;
        mydomain = names.host;
        smtpd_banner = "$myhostname ESMTP";
        # All mail is for virtual mailboxes; there are no local users.
        mydestination = [ ];
        local_transport = "error:5.1.1 this host has no local mailboxes";
        virtual_mailbox_domains = [ domain ];
        virtual_transport = "lmtp:unix:${sockets.lmtp}";
      }
    else
      rec {
        # It must be a name; this is the one that an address has in the DNS (RFC 1035 3.5).
        myhostname =
          let
            octet = elemAt (match "(.*)[.](.*)[.](.*)[.](.*)" names.host);
          in
          "${octet 3}.${octet 2}.${octet 1}.${octet 0}.in-addr.arpa";
        mydomain = myhostname;
        smtp_helo_name = domain;
        # Others believe a sender in brackets when it connects from that address: not by IPv6, nor from another one of this host.
        inet_protocols = "ipv4";
        smtp_bind_address =
          if settings.turn.privateAddress == null then names.host else settings.turn.privateAddress;
        smtpd_banner = "${domain} ESMTP";
        # What is in brackets can be a local destination, and never a virtual one.
        mydestination = [ domain ];
        local_transport = "lmtp:unix:${sockets.lmtp}";
        # The host's other addresses in brackets are local to Postfix too, but no relay.
        local_recipient_maps = "regexp:${files.senderLogin}";
        virtual_mailbox_domains = [ ];
      };

  # Envelopes of 1000 recipients, our signature, an octet for every line of 128 or more.
  queueFileOverhead = 2 * 1024 * 1024;

  # `-o name=value` for each, with the value in braces so that spaces and commas in it survive (master(5)).
  options =
    set:
    concatLists (
      map (name: [
        "-o"
        "{ ${name} = ${set.${name}} }"
      ]) (attrNames set)
    );

  smtpd = role: {
    smtpd_milters = "unix:${sockets.filter}";
    # The filter tells the roles apart by this macro.
    milter_macro_daemon_name = role;
    # "Received: by HOST": neither the client's address nor its name stays in a mailbox (Postfix 3.10).
    smtpd_hide_client_session = "yes";
    # Announced as SIZE, and counted as RFC 1870 6.3 defines it.
    message_size_limit = toString settings.message.maxSize;
  };

  # What logged-in clients speak to, by way of nginx. Written once: the services below differ in how TLS begins.
  submission =
    extra:
    {
      type = "inet";
      private = false;
      maxproc = settings.connections.smtp;
      command = "smtpd";
      args = options (
        smtpd "submission"
        // {
          syslog_name = "postfix/submission";
          smtpd_tls_mandatory_protocols = ">=TLSv1.3";
          smtpd_sasl_auth_enable = "yes";
          smtpd_client_restrictions = "permit_sasl_authenticated, reject";
          smtpd_relay_restrictions = "permit_sasl_authenticated, reject";
          smtpd_sender_restrictions = "reject_sender_login_mismatch";
          # What a client calls itself is often its own name or address, and would be in the queue too.
          smtpd_command_filter = "regexp:${files.clientNames}";
          # All of them come from nginx, which keeps this limit (nginx/submission.nix).
          smtpd_client_connection_count_limit = "0";
        }
        // extra
      );
    };

  # A process of smtpd or smtp reads these when it starts.
  ownFiles = {
    ${files.senderLogin}.text = ''
      /^(.+@${pattern})$/ $1
    '';
    ${files.senderLoginNeeded}.text = ''
      /@${pattern}$/ 553 5.7.1 not logged in
    '';
    ${files.clientNames}.text = ''
      /^(HELO|EHLO)[ \t]+.*$/ $1 client.invalid
    '';
    ${files.postfixTls}.text = ''
      postfix = postfix_settings
      [postfix_settings]
      ssl_conf = ssl_settings
      [ssl_settings]
      system_default = server
      [server]
      NumTickets = 0
    '';
    # Relays with a self-made certificate say so by their name: `_domain` or an address in brackets.
    ${files.tlsPolicy}.text = ''
      /^_/ encrypt
      /^\[/ encrypt
    '';
  };
in
{
  postfix.main = {
    compatibility_level = "3.10";

    myorigin = domain;
    # No trusted networks and nothing relayed for anybody.
    mynetworks = [ ];
    relay_domains = [ ];
    alias_maps = [ ];
    alias_database = [ ];
    recipient_delimiter = "";
    append_dot_mydomain = false;
    # Nor is anything completed in a header for whoever comes from this host, as by default: all people come by way of nginx.
    local_header_rewrite_clients = [ ];
    biff = false;
    # sendmail(1) is for root alone, and even root's mail has to pass the filter, which takes none from here.
    authorized_submit_users = [ "root" ];

    # Of a file in the queue, which holds envelope, added fields and record marks as well. What a client may send is counted to
    # the octet by each smtpd below.
    message_size_limit = settings.message.maxSize + queueFileOverhead;
    # virtual(8) is not used, but Postfix refuses a message_size_limit above this one.
    virtual_mailbox_limit = 0;
    mailbox_size_limit = 0;
    smtpd_recipient_limit = settings.sending.maxRecipients;
    smtpd_client_connection_count_limit = settings.connections.perAddress;
    # What one household has; Postfix' own 84 would give it a million times the limit.
    smtpd_client_ipv6_prefix_length = 64;

    smtpd_tls_chain_files = [
      files.certificateKey
      files.certificate
    ];
    smtpd_tls_security_level = "encrypt";
    smtpd_tls_auth_only = true;
    smtpd_tls_mandatory_protocols = ">=TLSv1.2";
    smtpd_tls_loglevel = 0;
    # No session tickets: sent at the end of the handshake they hold the greeting back until the client's kernel
    # acknowledges them, 40 ms later (Nagle's algorithm meets a delayed acknowledgement). Without a cache OpenSSL would
    # still send them; only its own configuration stops it.
    smtpd_tls_session_cache_timeout = "0s";
    tls_config_file = files.postfixTls;
    tls_config_name = "postfix";

    smtpd_sasl_type = "dovecot";
    smtpd_sasl_path = sockets.sasl;
    smtpd_sasl_security_options = "noanonymous";
    # An address of ours as MAIL FROM belongs to the login of that name, on every port: strangers cannot use one (and so
    # cannot aim a bounce at one either), users only their own.
    smtpd_sender_login_maps = "regexp:${files.senderLogin}";
    # Where there is no SASL, as on port 25, Postfix skips reject_sender_login_mismatch without a word.
    smtpd_sender_restrictions = "check_sender_access regexp:${files.senderLoginNeeded}";
    smtpd_relay_restrictions = "reject_unauth_destination";
    smtpd_recipient_restrictions = [ ];

    # RFC 5321 to the letter: no bare LF (SMTP smuggling), no commands ahead of the reply, no addresses in odd clothes.
    smtpd_forbid_bare_newline = "reject";
    smtpd_forbid_bare_newline_exclusions = [ ];
    smtpd_forbid_unauth_pipelining = true;
    smtpd_helo_required = true;
    strict_rfc821_envelopes = true;
    smtputf8_enable = false;
    # DSN would let a stranger ask for reports, ETRN for queue runs; CHUNKING only adds a second way to send a message.
    smtpd_discard_ehlo_keywords = "silent-discard, dsn, etrn, chunking";
    # Slow senders are cut after this long per command or data block, not per byte.
    smtpd_per_request_deadline = true;
    # When all processes are taken Postfix starts them anew with `stress`, and who says nothing goes.
    smtpd_timeout = "\${stress?{10}:{120}}s";
    smtpd_peername_lookup = false;
    disable_mime_input_processing = true;

    # If the filter is down a client gets 421 and comes again; mail never passes unfiltered.
    milter_default_action = "shutdown";
    # All that the filter asks for; each further stage with macros is one more packet a message.
    milter_connect_macros = "{daemon_name}";
    milter_mail_macros = "{auth_authen}";
    milter_helo_macros = "";
    milter_rcpt_macros = "";
    milter_data_macros = "";
    milter_end_of_header_macros = "";
    milter_end_of_data_macros = "";
    milter_protocol = 6;
    milter_connect_timeout = "5s";
    milter_command_timeout = "30s";
    # Above the time that DKIM verification may spend on DNS.
    milter_content_timeout = "60s";
    # Bounces leave signed.
    non_smtpd_milters = "unix:${sockets.filter}";
    internal_mail_filter_classes = "bounce";
    # They return the header of what failed and nothing of its body: the relay signs them, and a whole message in them would be
    # words of anybody's choice under its name.
    bounce_size_limit = 1;
    milter_macro_daemon_name = "internal";
    # No copies of failures to the postmaster: they would name people and fill a mailbox that nobody reads.
    notify_classes = [ ];

    smtp_tls_security_level = "verify";
    smtp_tls_verify_cert_match = "hostname";
    smtp_tls_mandatory_protocols = ">=TLSv1.2";
    smtp_tls_CAfile = platform.caBundle;
    # Signed answers and TLSA records are looked at only where names come from the DNS alone.
    smtp_dns_support_level = "dnssec";
    # The first that knows the destination: what has a self-made certificate by its name, then DANE or MTA-STS; the rest goes by
    # the level above. While chatmail-tls does not answer, mail waits.
    smtp_tls_policy_maps = [
      "regexp:${files.tlsPolicy}"
      "socketmap:unix:${sockets.tlsPolicy}:tls"
    ];
    smtp_tls_servername = "hostname";
    # A conversation between two relays is many messages in a minute: the connection stays for the next one. With TLS that takes
    # tlsproxy(8), which holds the session while the delivery processes change.
    smtp_tls_connection_reuse = true;
    smtp_connection_cache_destinations = "static:all";
    smtp_connection_cache_time_limit = "30s";
    connection_cache_ttl_limit = "30s";
    smtp_tls_session_cache_database = "btree:\${data_directory}/smtp_scache";
    maximal_queue_lifetime = "2d";
    bounce_queue_lifetime = "2d";
    # The sender is told of a delay that a person would notice, and then of the failure.
    delay_warning_time = "4h";
    # A relay that comes back is served within a minute, however long it was away: messages come due every 30 s and are looked
    # for every 15 s. While it is away one connection attempt in 30 s stands for all its mail.
    queue_run_delay = "15s";
    minimal_backoff_time = "30s";
    maximal_backoff_time = "30s";
    # A host that does not answer holds one of a hundred delivery processes for this long, which is three tries of TCP to reach
    # it; and one process, not five, until it is known to be there. Else a hundred of them held up the mail of everybody else.
    smtp_connect_timeout = "5s";
    smtp_initial_destination_concurrency = 1;
    enable_long_queue_ids = true;
  }
  // place
  // platform.postfix.main;

  # Attribute names are NixOS': `smtp_inet` is the listener on port 25, the column says "smtp".
  postfix.master = {
    smtp_inet = {
      name = "smtp";
      type = "inet";
      private = false;
      maxproc = settings.connections.smtp;
      command = "smtpd";
      args = options (smtpd "incoming");
    };
    # Mail that a program on this host hands to sendmail(1) is told apart from what Postfix itself makes (bounces): it gets a
    # cleanup(8) of its own, whose macro names it to the filter, which refuses it.
    pickup = {
      type = "unix";
      private = false;
      chroot = false;
      wakeup = 60;
      maxproc = 1;
      command = "pickup";
      args = options { cleanup_service_name = "cleanup-local"; };
    };
    cleanup-local = {
      type = "unix";
      private = false;
      chroot = false;
      maxproc = 0;
      command = "cleanup";
      args = options { milter_macro_daemon_name = "local"; };
    };
    tlsproxy = {
      type = "unix";
      chroot = false;
      maxproc = 0;
      command = "tlsproxy";
    };
    # It counts connections for the limits, and when it ends it names the address with the most of them. That line comes from a
    # process that may be gone before journald has looked up which filter patterns hold for it (units.nix), and no setting
    # leaves it out. So all its messages go to a logging service that does not exist, and with that nowhere; a crash of it is
    # told by master(8).
    anvil = {
      type = "unix";
      chroot = false;
      maxproc = 1;
      command = "anvil";
      args = options {
        maillog_file = "/dev/stdout";
        postlog_service_name = "nobody";
      };
    };
    # Mail that other relays hand over by HTTPS (`/mxdeliv`): the same service with the sender's address from the PROXY protocol.
    # TLS is nginx'.
    "127.0.0.1:${toString proxied.smtp}" = {
      type = "inet";
      private = false;
      maxproc = settings.connections.smtp;
      command = "smtpd";
      args = options (
        smtpd "incoming"
        // {
          syslog_name = "postfix/mxdeliv";
          smtpd_upstream_proxy_protocol = "haproxy";
          # Any local user can connect, and the peer's address is believed. Only chatmail-web knows the name to say.
          smtpd_helo_restrictions = "check_helo_access texthash:${files.handoverName}, reject";
          smtpd_tls_security_level = "none";
        }
      );
    };
    "127.0.0.1:${toString local.submission}" = submission { };
    "127.0.0.1:${toString local.submissions}" = submission { smtpd_tls_wrappermode = "yes"; };
  };

  files = ownFiles;

  dropins."postfix.service" = unit.addition {
    after = [
      "chatmail-filter.service"
      # It writes the files by which the filter knows whose rules differ.
      "chatmail-accounts.service"
      # It makes the name by which it is known.
      "chatmail-web.service"
    ];
    reads = attrNames ownFiles;
    service = unit.withoutNames;
  };

  ports = { inherit (ports) smtp; };
}
