# Postfix: main.cf and master.cf as attribute sets in the shape of NixOS' services.postfix.settings.
# Comments give reasons; https://www.postfix.org/postconf.5.html explains the parameters.
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

  # The names of this host, and the domains whose mail goes to Dovecot.
  place =
    if !names.isAddress then
      {
        myhostname = names.host;
        mydomain = names.host;
        smtpd_banner = "$myhostname ESMTP";
        # All mailboxes are virtual; there are no local users.
        mydestination = [ ];
        local_transport = "error:5.1.1 this host has no local mailboxes";
        virtual_mailbox_domains = [ domain ];
        virtual_transport = "lmtp:unix:${sockets.lmtp}";
      }
    else
      rec {
        # Postfix needs a name here. This is the one that the address has in the DNS (RFC 1035 3.5).
        myhostname =
          let
            octet = elemAt (match "(.*)[.](.*)[.](.*)[.](.*)" names.host);
          in
          "${octet 3}.${octet 2}.${octet 1}.${octet 0}.in-addr.arpa";
        mydomain = myhostname;
        smtp_helo_name = domain;
        # Other relays accept a sender in brackets only from that very address: not over IPv6, and not from another address of the
        # host.
        inet_protocols = "ipv4";
        smtp_bind_address =
          if settings.turn.privateAddress == null then names.host else settings.turn.privateAddress;
        smtpd_banner = "${domain} ESMTP";
        # A domain in brackets can be a local destination, but not a virtual one.
        mydestination = [ domain ];
        local_transport = "lmtp:unix:${sockets.lmtp}";
        # Postfix also takes the host's other addresses in brackets for local, but they have no mailboxes.
        local_recipient_maps = "regexp:${files.senderLogin}";
        virtual_mailbox_domains = [ ];
      };

  # For an envelope with 1000 recipients, our signature, and one octet per line of at least 128.
  queueFileOverhead = 2 * 1024 * 1024;

  # `-o name=value` for each; braces keep spaces and commas in the value (master(5)).
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
    # By this macro the filter distinguishes the roles.
    milter_macro_daemon_name = role;
    # "Received: by HOST", without the client's address and name (Postfix 3.10).
    smtpd_hide_client_session = "yes";
    # Announced as SIZE, and counted as in RFC 1870 6.3.
    message_size_limit = toString settings.message.maxSize;
  };

  # The services for users, behind nginx. They differ only in how TLS begins.
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
          # Clients often give their own name or address in EHLO, which would be in the queue file, too.
          smtpd_command_filter = "regexp:${files.clientNames}";
          # All connections come from nginx, which enforces this limit (nginx/submission.nix).
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
    ${files.localTransport}.text = ''
      /@${pattern}$/ lmtp:unix:${sockets.lmtp}
    '';
    ${files.failedServer}.text = ''
      /^4\.4\.[0-9]+ .*\[([0-9A-Fa-f.:]+)\]/ $1
    '';
    ${files.clientNames}.text = ''
      /^(HELO|EHLO)[ \t]+.*$/ $1 client.invalid
    '';
    ${files.deliveredFields}.text = ''
      /^(Received|DKIM-Signature):/ IGNORE
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
    # These relays have a self-signed certificate: `_domain`, or an address in brackets.
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
    # No network is trusted, and nothing is relayed for strangers.
    mynetworks = [ ];
    relay_domains = [ ];
    alias_maps = [ ];
    alias_database = [ ];
    recipient_delimiter = "";
    append_dot_mydomain = false;
    # By default Postfix completes headers for clients on this host. All users come from this host, through nginx.
    local_header_rewrite_clients = [ ];
    biff = false;
    # sendmail(1) is for root alone, and even root's mail has to pass the filter, which takes none from here.
    authorized_submit_users = [ "root" ];

    # The size of a queue file, which also has the envelope, added fields and record marks. Each smtpd below enforces the exact
    # limit for messages.
    message_size_limit = settings.message.maxSize + queueFileOverhead;
    # virtual(8) is not used, but Postfix does not start if message_size_limit is larger than this.
    virtual_mailbox_limit = 0;
    mailbox_size_limit = 0;
    smtpd_recipient_limit = settings.sending.maxRecipients;
    smtpd_client_connection_count_limit = settings.connections.perAddress;
    # The network of one household. With Postfix' default of 84 it would get a million times the limit.
    smtpd_client_ipv6_prefix_length = 64;

    smtpd_tls_chain_files = [
      files.certificateKey
      files.certificate
    ];
    smtpd_tls_security_level = "encrypt";
    smtpd_tls_auth_only = true;
    smtpd_tls_mandatory_protocols = ">=TLSv1.2";
    smtpd_tls_loglevel = 0;
    # No session tickets: they follow the handshake, and the greeting then waits 40 ms for the client's acknowledgement (Nagle's
    # algorithm meets a delayed acknowledgement). Without a cache OpenSSL still sends them, unless its configuration forbids it.
    smtpd_tls_session_cache_timeout = "0s";
    tls_config_file = files.postfixTls;
    tls_config_name = "postfix";

    smtpd_sasl_type = "dovecot";
    smtpd_sasl_path = sockets.sasl;
    smtpd_sasl_security_options = "noanonymous";
    # On every port, only the login of that name may use an address of this relay as MAIL FROM. So strangers cannot direct bounces
    # to users.
    smtpd_sender_login_maps = "regexp:${files.senderLogin}";
    # Without SASL, as on port 25, Postfix silently skips reject_sender_login_mismatch.
    smtpd_sender_restrictions = "check_sender_access regexp:${files.senderLoginNeeded}";
    smtpd_relay_restrictions = "reject_unauth_destination";
    smtpd_recipient_restrictions = [ ];

    # Strictly RFC 5321: no bare LF (SMTP smuggling), no commands before the reply, no unusual address syntax.
    smtpd_forbid_bare_newline = "reject";
    smtpd_forbid_bare_newline_exclusions = [ ];
    smtpd_forbid_unauth_pipelining = true;
    smtpd_helo_required = true;
    strict_rfc821_envelopes = true;
    smtputf8_enable = false;
    # With DSN a stranger could request reports, with ETRN queue runs. CHUNKING would be a second way to send a message.
    smtpd_discard_ehlo_keywords = "silent-discard, dsn, etrn, chunking";
    # The time limit is for a whole command or data block, not for each read.
    smtpd_per_request_deadline = true;
    # When all processes are busy, Postfix restarts them with `stress` set, and idle clients are disconnected sooner.
    smtpd_timeout = "\${stress?{10}:{120}}s";
    smtpd_peername_lookup = false;
    disable_mime_input_processing = true;

    # If the filter is down, clients get 421 and try again. Mail never passes unfiltered.
    milter_default_action = "shutdown";
    # Only these macros are used. Each further stage with macros would be one more packet per message.
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
    # Longer than DKIM verification may wait for DNS.
    milter_content_timeout = "60s";
    # So that bounces are signed.
    non_smtpd_milters = "unix:${sockets.filter}";
    internal_mail_filter_classes = "bounce";
    # Bounces return the header of the message but not its body. The relay signs them, so a whole message would let anyone publish
    # text under its name.
    bounce_size_limit = 1;
    milter_macro_daemon_name = "internal";
    # These are for other servers. In a mailbox they would tell when a message was sent and take 900 octets of it. The filter
    # cannot leave them out: it does not see Received, and one message may be for people here and elsewhere.
    lmtp_header_checks = "regexp:${files.deliveredFields}";
    # The postmaster gets no copies of failures. They would contain addresses, and fill a mailbox that is not read.
    notify_classes = [ ];

    # Dovecot takes lines of any length, and a newsletter's HTML may be one. Broken at 998 octets, which other mail servers
    # may need (RFC 5322 2.1.1), it arrived damaged after its signature was verified.
    lmtp_line_length_limit = 0;

    smtp_tls_security_level = "verify";
    smtp_tls_verify_cert_match = "hostname";
    smtp_tls_mandatory_protocols = ">=TLSv1.2";
    smtp_tls_CAfile = platform.caBundle;
    # Postfix checks DNSSEC and TLSA records only if names are looked up in the DNS alone.
    smtp_dns_support_level = "dnssec";
    # The first table that knows the destination decides: relays with a self-signed certificate, then DANE or MTA-STS. The level
    # above holds for all others. While chatmail-tls does not answer, mail waits.
    smtp_tls_policy_maps = [
      "regexp:${files.tlsPolicy}"
      "socketmap:unix:${sockets.tlsPolicy}:tls"
    ];
    smtp_tls_servername = "hostname";
    # Conversations between two relays are many messages per minute, so connections stay open for the next one. With TLS this
    # needs tlsproxy(8), which keeps the session when the delivery process changes.
    smtp_tls_connection_reuse = true;
    smtp_connection_cache_destinations = "static:all";
    smtp_connection_cache_time_limit = "30s";
    connection_cache_ttl_limit = "30s";
    smtp_tls_session_cache_database = "btree:\${data_directory}/smtp_scache";
    maximal_queue_lifetime = "2d";
    bounce_queue_lifetime = "2d";
    # Senders are notified of a delay that a person would notice, and later of the failure.
    delay_warning_time = "4h";
    # A relay that comes back gets its mail within a minute: messages are retried every 30 s, and the queue is scanned every 15 s.
    # While it is away, all its mail takes one connection attempt in 30 s.
    queue_run_delay = "15s";
    minimal_backoff_time = "30s";
    maximal_backoff_time = "30s";
    # Destinations that are not known to answer, new ones included, have a transport of their own (chatmaild.tlspolicy.
    # reachability). So silent servers, however many there are, delay only each other. The first table contains local addresses,
    # which need no query. The next two settings report to chatmail-tls what the delivery processes see; nothing is ever found in
    # those tables. Status 4.4.x means a network failure (RFC 3463 3.5).
    transport_maps = [
      "regexp:${files.localTransport}"
      "socketmap:unix:${sockets.tlsPolicy}:transport"
    ];
    smtp_discard_ehlo_keyword_address_maps = "socketmap:unix:${sockets.tlsPolicy}:greeted";
    smtp_delivery_status_filter = "pipemap:{regexp:${files.failedServer}, socketmap:unix:${sockets.tlsPolicy}:failed}";
    # A slow server is disconnected after this time per reply, not per octet. The defaults are five minutes. After the end of a
    # message the default stays, because the server may have accepted it.
    smtp_per_request_deadline = true;
    smtp_helo_timeout = "10s";
    smtp_starttls_timeout = "10s";
    smtp_mail_timeout = "20s";
    smtp_rcpt_timeout = "20s";
    smtp_data_init_timeout = "20s";
    smtp_quit_timeout = "5s";
    smtp_rset_timeout = "5s";
    # A host that does not answer occupies one of a hundred delivery processes for this long, in which TCP tries three times. It
    # occupies one process, not five, until a delivery succeeds. Otherwise a hundred such hosts would delay all other mail.
    smtp_connect_timeout = "5s";
    smtp_initial_destination_concurrency = 1;
    enable_long_queue_ids = true;
  }
  // place
  // platform.postfix.main;

  # Attribute names are those of NixOS: `smtp_inet` is the listener on port 25, whose first column is "smtp".
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
    smtp-new = {
      type = "unix";
      chroot = false;
      maxproc = 20;
      command = "smtp";
      args = options { syslog_name = "postfix/new"; };
    };
    tlsproxy = {
      type = "unix";
      chroot = false;
      maxproc = 0;
      command = "tlsproxy";
    };
    # anvil(8) counts connections for the limits. When it ends, it logs the address with the most connections, and no setting
    # stops that. The process may be gone before journald has looked up its filter patterns (units.nix). So it logs to a service
    # that does not exist. master(8) still reports its crashes.
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
    # Mail that other relays deliver over HTTPS (`/mxdeliv`): the same service, with the sender's address from the PROXY protocol.
    # nginx handles TLS.
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
      # It writes the files with which the filter knows the exceptions of accounts.
      "chatmail-accounts.service"
      # It makes the name by which it is known.
      "chatmail-web.service"
    ];
    reads = attrNames ownFiles;
    service = unit.withoutNames;
  };

  ports = { inherit (ports) smtp; };
}
