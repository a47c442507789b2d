# The values that differ between systems, for NixOS. debian.nix defines the same names. `programs` and `caBundle` are store paths,
# so the NixOS module passes them in.
{
  programs,
  caBundle,
  mimeTypes,
}:
{
  name = "nixos";
  inherit programs caBundle;

  etc = "/etc/chatmail";
  state = "/var/lib";
  runtime = "/run";

  postfix = {
    user = "postfix";
    group = "postfix";
    queueGroup = "postdrop";
    # services.postfix sets its own directories and owners.
    main = { };
    # services.postfix declares the standard services of master.cf(5) too.
    master = { };
  };

  dovecot = {
    runtime = "/run/dovecot2";
    user = "dovecot2";
    loginUser = "dovenull";
    group = "dovecot2";
    # services.dovecot2 sets base_dir, the plugin directory and the internal users.
    settings = { };
  };

  nginx = {
    user = "nginx";
    group = "nginx";
    # services.nginx writes the main context.
    main = [ ];
    inherit mimeTypes;
  };

  # Where security.acme puts the certificate and key of a host.
  acme = {
    certificate = host: "/var/lib/acme/${host}/fullchain.pem";
    key = host: "/var/lib/acme/${host}/key.pem";
    webroot = "/var/lib/acme/acme-challenge";
  };

  # Kernel limits that the system has by itself; the relay never lowers them.
  sysctl = {
    "fs.inotify.max_user_instances" = 524288;
    "fs.inotify.max_user_watches" = 524288;
  };

  # Networks with non-public addresses that calls may nevertheless use.
  turn.allowedPeers = [ ];

  unbound = {
    rootHints = null;
    # services.unbound maintains its own trust anchor (enableRootTrustAnchor).
    trustAnchorFile = null;
  };
}
