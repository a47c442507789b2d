# The values that differ between systems, for Debian. nixos.nix defines the same names. Other files take paths and user names from
# here.
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
    # postqueue and turnserver are Debian packages. The operator has to install the other two.
    postqueue = "/usr/sbin/postqueue";
    turnserver = "/usr/bin/turnserver";
    iroh-relay = "/usr/bin/iroh-relay";
    deltachat-rpc-server = "/usr/bin/deltachat-rpc-server";
  };

  postfix = {
    user = "postfix";
    group = "postfix";
    # Members of this group may list the queue.
    queueGroup = "postdrop";
    main = {
      command_directory = "/usr/sbin";
      daemon_directory = "/usr/lib/postfix/sbin";
      data_directory = "/var/lib/postfix";
      mail_owner = "postfix";
      queue_directory = "/var/spool/postfix";
      setgid_group = postfix.queueGroup;
    };
    # The standard services of master.cf(5). NixOS declares the same ones itself. They are not chrooted, so that the paths of
    # sockets are valid.
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
    # Debian's Dovecot is built with /run/dovecot as base_dir and with the path of its plugins.
    runtime = "/run/dovecot";
    user = "dovecot";
    loginUser = "dovenull";
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

  # Where the operator's ACME client must put the certificate and key of a host, and its challenge responses.
  acme = {
    certificate = host: "${state}/acme/${host}/fullchain.pem";
    key = host: "${state}/acme/${host}/key.pem";
    webroot = "${state}/acme/acme-challenge";
  };

  # Kernel limits that the system has by itself; the relay never lowers them. For watches the kernel takes a share of the memory,
  # up to this.
  sysctl = {
    "fs.inotify.max_user_instances" = 128;
    "fs.inotify.max_user_watches" = 1048576;
  };

  # Networks with non-public addresses that calls may nevertheless use.
  turn.allowedPeers = [ ];

  unbound = {
    # null uses the root servers built into unbound.
    rootHints = null;
    trustAnchorFile = "/usr/share/dns/root.key";
  };
}
