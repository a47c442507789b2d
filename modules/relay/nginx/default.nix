# nginx: the website, and port 443 shared by HTTPS, IMAP and SMTP. `events`, `stream` and `http` are the contents of those
# contexts, so that NixOS can pass them to services.nginx and other systems can print one file (whole.nix). ../render/nginx.nix
# documents the form of directives.
{
  settings,
  platform,
  names,
  unit,
  relay,
  ...
}:
let
  inherit (builtins) attrNames listToAttrs;
  inherit (names) host ports proxied;

  limits = import ./limits.nix { perMinute = settings.accounts.perNetworkPerMinute; };

  # Subdomains of the host. An IP address has none.
  below = label: if names.isAddress then "" else " ${label}.${host}";
  moved = "return 301 https://${host}$request_uri";

  # Turn each attribute of a set into a block `KIND NAME { … }`.
  blocks =
    kind: set:
    listToAttrs (
      map (name: {
        name = "${kind} ${name}";
        value = set.${name};
      }) (attrNames set)
    );
  headers = map (name: [
    "add_header"
    name
    relay.headers.${name}
    "always"
  ]) (attrNames relay.headers);

  https = [
    "listen 127.0.0.1:${toString proxied.https} ssl proxy_protocol"
    "ssl_certificate ${names.files.certificate}"
    "ssl_certificate_key ${names.files.certificateKey}"
    "ssl_protocols TLSv1.2 TLSv1.3"
    "ssl_session_tickets off"
  ];

  plain.server =
    import ./listen.nix ports.http
    ++ [
      "server_name ${host}${below "www"}${below "mta-sts"}"
      {
        # The directory for the ACME client's challenge responses (RFC 8555 8.3).
        ${
          if settings.certificate.source == "acme" then "location /.well-known/acme-challenge/" else null
        } =
          [ "root ${platform.acme.webroot}" ];
        "location /" = [ moved ];
      }
    ];
  www.server = https ++ [
    "server_name www.${host}"
    moved
  ];
  site.server =
    https
    ++ [ "server_name ${host}${below "mta-sts"}" ]
    ++ headers
    ++ [ (blocks "location" relay.locations) ];
in
{
  nginx = {
    # nginx logs refused requests below this level. The drop-in filters out the remaining lines that contain a client's address.
    errorLevel = "crit";

    main = [ "worker_processes auto" ];

    # A submission takes two connections: from the client and to Postfix. Through port 443 it takes four.
    events = [ "worker_connections ${toString (16384 + 6 * settings.connections.smtp)}" ];

    stream =
      import ./networks.nix
      ++ import ./shared-port.nix { inherit (names) ports proxied; }
      ++ import ./submission.nix {
        inherit (names) ports proxied local;
        inherit (settings.connections) perAddress;
      };

    http = [
      # Request lines and client addresses are not logged.
      "access_log off"
      "client_body_timeout 10s"
      "client_header_timeout 10s"
    ]
    ++ limits.http
    ++ [
      (blocks "map" relay.maps)
      plain
    ]
    ++ (if names.isAddress then [ ] else [ www ])
    ++ [ site ];

    # Use the client's address instead of the stream context's. Without the PROXY protocol this has no effect.
    realAddress = [
      "set_real_ip_from 127.0.0.1"
      "real_ip_header proxy_protocol"
    ];

    # Addresses for other websites on the same host: behind port 443 like the relay's own, and on port 80. The shape is that of
    # NixOS' services.nginx.defaultListen.
    otherSites = [
      {
        addr = "127.0.0.1";
        port = proxied.https;
        ssl = true;
        proxyProtocol = true;
      }
      {
        addr = "0.0.0.0";
        port = ports.http;
        ssl = false;
      }
      {
        addr = "[::]";
        port = ports.http;
        ssl = false;
      }
    ];
  };

  dropins."nginx.service" = unit.addition {
    after =
      if settings.certificate.source == "self-signed" then [ "chatmail-certificate.service" ] else [ ];
    service = {
      # At every log level, messages about a connection end with the client's address and the request line.
      LogFilterPatterns = [ "~, client: " ];
      # The kernel's maximum (fs.nr_open), which is more than worker_connections can be with any settings.
      LimitNOFILE = 1048576;
    };
  };

  ports = {
    inherit (ports)
      http
      https
      submission
      submissions
      ;
  };
}
