# Debian's answers to what differs between systems. The same names are in nixos.nix; a file that needs a path or a user
# name takes it from here.
rec {
  name = "debian";

  etc = "/etc/chatmail";
  state = "/var/lib";
  runtime = "/run";
  caBundle = "/etc/ssl/certs/ca-certificates.crt";

  programs = {
    chatmail = "/usr/bin/chatmail";
    chatmail-filter = "/usr/bin/chatmail-filter";
    chatmail-accounts = "/usr/bin/chatmail-accounts";
    chatmail-tls = "/usr/bin/chatmail-tls";
    chatmail-web = "/usr/bin/chatmail-web";
    chatmail-expire = "/usr/bin/chatmail-expire";
    chatmail-trim = "/usr/bin/chatmail-trim";
    chatmail-metrics = "/usr/bin/chatmail-metrics";
    chatmail-echo = "/usr/bin/chatmail-echo";
    chatmail-website = "/usr/bin/chatmail-website";
    chatmail-turn-config = "/usr/bin/chatmail-turn-config";
    # Packages of Debian's; the last two are not, and are the operator's to install.
    postqueue = "/usr/sbin/postqueue";
    turnserver = "/usr/bin/turnserver";
    iroh-relay = "/usr/bin/iroh-relay";
    deltachat-rpc-server = "/usr/bin/deltachat-rpc-server";
  };

  postfix = {
    user = "postfix";
    group = "postfix";
    # Whose members may list the queue.
    queueGroup = "postdrop";
    main = {
      command_directory = "/usr/sbin";
      daemon_directory = "/usr/lib/postfix/sbin";
      data_directory = "/var/lib/postfix";
      mail_owner = "postfix";
      queue_directory = "/var/spool/postfix";
      setgid_group = postfix.queueGroup;
    };
    # The stock services of master.cf(5) that every Postfix has; NixOS declares the same ones itself. Nothing is chrooted, so
    # that sockets are where their names say.
    master =
      let
        unix = private: wakeup: maxproc: command: {
          type = "unix";
          inherit
            private
            wakeup
            maxproc
            command
            ;
          chroot = false;
        };
        simple = unix null null null;
      in
      {
        pickup = unix false 60 1 "pickup";
        cleanup = unix false null 0 "cleanup";
        qmgr = unix false 300 1 "qmgr";
        tlsmgr = unix null "1000?" 1 "tlsmgr";
        rewrite = simple "trivial-rewrite";
        bounce = unix null null 0 "bounce";
        defer = unix null null 0 "bounce";
        trace = unix null null 0 "bounce";
        verify = unix null null 1 "verify";
        flush = unix false "1000?" 0 "flush";
        proxymap = simple "proxymap";
        proxywrite = unix null null 1 "proxymap";
        smtp = simple "smtp";
        relay = simple "smtp";
        showq = unix false null null "showq";
        error = simple "error";
        retry = simple "error";
        discard = simple "discard";
        local = simple "local" // {
          privileged = false;
        };
        virtual = simple "virtual" // {
          privileged = false;
        };
        lmtp = simple "lmtp";
        scache = unix null null 1 "scache";
        postlog = unix false null 1 "postlogd" // {
          type = "unix-dgram";
        };
      };
  };

  dovecot = {
    # Debian builds with /run/dovecot as base_dir and knows where its plug-ins are.
    runtime = "/run/dovecot";
    user = "dovecot";
    group = "dovecot";
    settings = { };
  };

  nginx = {
    user = "www-data";
    group = "www-data";
    main = [
      "include /etc/nginx/modules-enabled/*.conf"
      "user ${nginx.user}"
      "pid /run/nginx.pid"
    ];
    mimeTypes = "/etc/nginx/mime.types";
  };

  # Where the operator's ACME client has to put what it obtains for a host, and its answers to the authority.
  acme = {
    certificate = host: "${state}/acme/${host}/fullchain.pem";
    key = host: "${state}/acme/${host}/key.pem";
    webroot = "${state}/acme/acme-challenge";
  };

  # Peers of calls that may have an address which no peer has on the Internet.
  turn.allowedPeers = [ ];

  unbound = {
    # Null takes the root servers that unbound knows by itself.
    rootHints = null;
    trustAnchorFile = "/usr/share/dns/root.key";
  };
}
