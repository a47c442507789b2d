# nginx: port 443 shared by HTTPS, IMAP and SMTP, and what the relay answers over HTTP. `events`, `stream` and `http` are the
# contents of those contexts, so that NixOS can hand them to services.nginx and the container can print one file.
# `maps`, `headers` and `locations` are what other files have to say about HTTP. Directives are as ../render/nginx.nix wants them.
{
  settings,
  platform,
  names,
  maps,
  headers,
  locations,
}:
let
  inherit (names) host ports proxied;

  discovery = import ./discovery.nix { inherit names; };
  limits = import ./limits.nix { perMinute = settings.accounts.perNetworkPerMinute; };
  web = import ./web.nix {
    inherit host limits;
    socket = names.sockets.web;
    inherit (settings.message) maxSize;
  };

  # Where an ACME client leaves its answers (RFC 8555 section 8.3).
  acmeChallenge =
    if settings.certificate.source != "acme" then
      [ ]
    else
      [ { "location /.well-known/acme-challenge/" = [ "root ${platform.state}/acme/acme-challenge" ]; } ];

  https = [
    "listen 127.0.0.1:${toString proxied.https} ssl proxy_protocol"
    "ssl_certificate ${names.files.certificate}"
    "ssl_certificate_key ${names.files.certificateKey}"
    "ssl_protocols TLSv1.2 TLSv1.3"
    "ssl_session_tickets off"
  ];
  moved = "return 301 https://${host}$request_uri";
  # There are no names below an address.
  below = label: if names.isAddress then "" else " ${label}.${host}";

  plain = [
    {
      server =
        import ./listen.nix ports.http
        ++ [ "server_name ${host}${below "www"}${below "mta-sts"}" ]
        ++ acmeChallenge
        ++ [ { "location /" = [ moved ]; } ];
    }
  ];
  www = [
    {
      server = https ++ [
        "server_name www.${host}"
        moved
      ];
    }
  ];
  site = [
    {
      server =
        https
        ++ [ "server_name ${host}${below "mta-sts"}" ]
        ++ headers
        ++ discovery.locations
        ++ web
        ++ locations;
    }
  ];
in
rec {
  inherit (discovery) mtaStsPolicy files;

  ports = {
    inherit (names.ports)
      http
      https
      submission
      submissions
      ;
  };

  # What is refused to clients is told below this level; what is left names a client only where a drop-in filters it out.
  errorLevel = "crit";

  main = [ "worker_processes auto" ];

  # Handing mail in takes two: the client's and the one to Postfix; by port 443 four.
  events = [ "worker_connections ${toString (16384 + 6 * settings.connections.smtp)}" ];

  stream =
    import ./networks.nix
    ++ import ./shared-port.nix { inherit (names) ports proxied; }
    ++ import ./submission.nix {
      inherit (names) ports proxied local;
      inherit (settings.connections) perAddress;
    };

  http = [
    # Request lines and client addresses are nobody's business.
    "access_log off"
    "client_body_timeout 10s"
    "client_header_timeout 10s"
  ]
  ++ limits.http
  ++ maps
  ++ plain
  ++ (if names.isAddress then [ ] else www)
  ++ site;

  # The client's, not the stream context's; without the PROXY protocol nothing changes.
  realAddress = [
    "set_real_ip_from 127.0.0.1"
    "real_ip_header proxy_protocol"
  ];

  # Where other sites of the same host are reached: behind port 443 like our own, and on port 80. The shape is NixOS'
  # services.nginx.defaultListen.
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

  # The whole file, where no other program writes the main context.
  whole =
    platform.nginx.main
    ++ main
    ++ [
      # A file as far as nginx is concerned. With syslog alone it opens its default log beside it, which tells of each client
      # that was refused something (ngx_log_open_default).
      "error_log stderr ${errorLevel}"
      { inherit events; }
      { inherit stream; }
      {
        http = [
          "include ${platform.nginx.mimeTypes}"
          # NixOS writes this one itself, and nginx takes it once.
          "server_tokens off"
        ]
        ++ realAddress
        ++ http;
      }
    ];
}
