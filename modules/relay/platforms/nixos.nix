# NixOS' answers to what differs between systems; debian.nix has the same names. `programs` and `caBundle` are store paths
# there, so the module that calls the relay hands them in.
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
    # It declares the stock services of master.cf(5) too.
    master = { };
  };

  dovecot = {
    runtime = "/run/dovecot2";
    user = "dovecot2";
    group = "dovecot2";
    # base_dir, plug-in directory and internal users are services.dovecot2's.
    settings = { };
  };

  nginx = {
    user = "nginx";
    group = "nginx";
    # services.nginx writes the main context.
    main = [ ];
    inherit mimeTypes;
  };

  # Where security.acme puts what it obtains for a host.
  acme = {
    certificate = host: "/var/lib/acme/${host}/fullchain.pem";
    key = host: "/var/lib/acme/${host}/key.pem";
    webroot = "/var/lib/acme/acme-challenge";
  };

  # Peers of calls that may have an address which no peer has on the Internet.
  turn.allowedPeers = [ ];

  unbound = {
    rootHints = null;
    # services.unbound keeps its own (enableRootTrustAnchor).
    trustAnchorFile = null;
  };
}
