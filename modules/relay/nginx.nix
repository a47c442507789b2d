# nginx: port 443 shared by HTTPS, IMAP and SMTP, and what the relay answers over HTTP. `events`, `stream` and `http` are the
# contents of those contexts, so that NixOS can hand them to services.nginx and the container can print one file.
# `maps`, `headers` and `locations` are what other files have to say about HTTP.
{
  settings,
  platform,
  names,
  maps,
  headers,
  locations,
}:
let
  inherit (names) ports;
  inherit (names)
    proxied
    sockets
    ;
  domain = settings.domain;
  local = port: "127.0.0.1:${toString port}";
  listen = port: [
    [
      "listen"
      port
    ]
    [
      "listen"
      "[::]:${toString port}"
    ]
  ];
  file = path: type: [
    [
      "alias"
      path
    ]
    [ "types" [ ] ]
    [
      "default_type"
      type
    ]
  ];
  toWeb = [
    [
      "client_max_body_size"
      "1k"
    ]
    [
      "proxy_pass"
      "http://unix:${sockets.web}"
    ]
    [
      "proxy_set_header"
      "Host"
      domain
    ]
    [
      "proxy_set_header"
      "Connection"
      ""
    ]
    [
      "proxy_http_version"
      "1.1"
    ]
  ];
  # Mail of other relays (WIRE contract: mxdeliv), streamed so that nothing of it is written to a disk before Postfix does.
  toDelivery = [
    [
      "client_max_body_size"
      settings.message.maxSize
    ]
    [
      "error_page"
      "413"
      "=413"
      "@chatmail_too_large"
    ]
    [
      "proxy_request_buffering"
      "off"
    ]
    [
      "proxy_read_timeout"
      "120s"
    ]
    [
      "proxy_pass"
      "http://unix:${sockets.web}"
    ]
    [
      "proxy_set_header"
      "Host"
      domain
    ]
    [
      "proxy_set_header"
      "X-Real-IP"
      "$remote_addr"
    ]
    [
      "proxy_set_header"
      "Connection"
      ""
    ]
    [
      "proxy_http_version"
      "1.1"
    ]
  ];
  # At most so many requests from one network; the client shows the reason.
  limited = zone: burst: [
    [
      "limit_req"
      "zone=${zone}"
      "burst=${toString burst}"
      "nodelay"
    ]
    [
      "error_page"
      "429"
      "@too-many"
    ]
  ];
  perMinute = settings.accounts.perNetworkPerMinute;
  # The text form of an IPv6 address (RFC 5952) has eight groups, or fewer and :: for those that are zero.
  group = "[0-9a-f]+";
  groups = count: "${group}(?::${group}){${count}}";
  # core reads type, hostname, port, socketType and username (WIRE contract 2.6).
  server = kind: port: socketType: ''
    <${if kind == "smtp" then "outgoingServer" else "incomingServer"} type="${kind}">
      <hostname>${domain}</hostname>
      <port>${toString port}</port>
      <socketType>${socketType}</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </${if kind == "smtp" then "outgoingServer" else "incomingServer"}>
  '';
in
rec {
  # RFC 8461 section 3.2; the policy's id in the DNS (dns.nix) follows from this text.
  mtaStsPolicy = ''
    version: STSv1
    mode: enforce
    mx: ${domain}
    max_age: 2419200
  '';

  files = {
    "${names.files.www}/mta-sts.txt".text = mtaStsPolicy;
    "${names.files.www}/config-v1.1.xml".text = ''
      <?xml version="1.0" encoding="UTF-8"?>
      <clientConfig version="1.1">
      <emailProvider id="${domain}">
      <domain>${domain}</domain>
      <displayName>${domain} chatmail</displayName>
      <displayShortName>${domain}</displayShortName>
      ${server "imap" ports.imaps "SSL"}${server "imap" ports.imap "STARTTLS"}${
        server "imap" ports.https "SSL"
      }${server "smtp" ports.submissions "SSL"}${server "smtp" ports.submission "STARTTLS"}${
        server "smtp" ports.https "SSL"
      }</emailProvider>
      </clientConfig>
    '';
  };

  events = [
    [
      "worker_connections"
      16384
    ]
  ];

  stream = [
    # ALPN names of RFC 7301's registry; a client that offers none, or anything else, gets HTTPS.
    [
      "map"
      "$ssl_preread_alpn_protocols"
      "$chatmail_upstream"
      [
        [
          "~\\bsmtp\\b"
          (local proxied.submissions)
        ]
        [
          "~\\bimap\\b"
          (local proxied.imaps)
        ]
        [
          "default"
          (local proxied.https)
        ]
      ]
    ]
    [
      "server"
      (
        listen ports.https
        ++ [
          [
            "ssl_preread"
            "on"
          ]
          [
            "preread_timeout"
            "10s"
          ]
          [
            "proxy_pass"
            "$chatmail_upstream"
          ]
          [
            "proxy_protocol"
            "on"
          ]
          # Above the 29 minutes that a client may stay in IDLE without a word (RFC 2177).
          [
            "proxy_timeout"
            "1h"
          ]
          [
            "proxy_socket_keepalive"
            "on"
          ]
        ]
      )
    ]
  ];

  http = [
    # Request lines and client addresses are nobody's business.
    [
      "access_log"
      "off"
    ]
    [
      "client_body_timeout"
      "10s"
    ]
    [
      "client_header_timeout"
      "10s"
    ]
    # Limits count networks: an IPv4 address, or the /64 that one household gets in IPv6.
    [
      "map"
      "$remote_addr"
      "$chatmail_network"
      [
        [
          "default"
          "$remote_addr"
        ]
        # Four groups written out; fewer, since the zeros reach into the network; and the two forms in which they end in it.
        [
          "~^(?<chatmail_net4>${groups "3"}):"
          "$chatmail_net4"
        ]
        [
          "~^(?<chatmail_net>.*)::(${groups "0,3"})?$"
          "$chatmail_net"
        ]
        [
          "~^(?<chatmail_net1>.*::${group}):${groups "3"}$"
          "$chatmail_net1"
        ]
        [
          "~^(?<chatmail_net2>.*::${groups "1"}):${groups "3"}$"
          "$chatmail_net2"
        ]
      ]
    ]
    [
      "limit_req_status"
      429
    ]
    [
      "limit_req_zone"
      "$chatmail_network"
      "zone=chatmail_new:4m"
      "rate=${toString perMinute}r/m"
    ]
    # Guessing a password here must be no easier than anywhere else.
    [
      "limit_req_zone"
      "$chatmail_network"
      "zone=chatmail_delete:4m"
      "rate=10r/m"
    ]
  ]
  ++ maps
  ++ [
    [
      "server"
      (
        listen ports.http
        ++ [
          [
            "server_name"
            domain
            "www.${domain}"
            "mta-sts.${domain}"
          ]
        ]
        ++ acmeChallenge
        ++ [
          [
            "location"
            "/"
            [
              [
                "return"
                "301"
                "https://${domain}$request_uri"
              ]
            ]
          ]
        ]
      )
    ]
    [
      "server"
      (
        https
        ++ [
          [
            "server_name"
            "www.${domain}"
          ]
          [
            "return"
            "301"
            "https://${domain}$request_uri"
          ]
        ]
      )
    ]
    [
      "server"
      (
        https
        ++ [
          [
            "server_name"
            domain
            "mta-sts.${domain}"
          ]
        ]
        ++ headers
        ++ [
          [
            "location"
            "="
            "/.well-known/mta-sts.txt"
            (file "${names.files.www}/mta-sts.txt" "text/plain")
          ]
          [
            "location"
            "="
            "/.well-known/autoconfig/mail/config-v1.1.xml"
            (file "${names.files.www}/config-v1.1.xml" "text/xml")
          ]
          [
            "location"
            "="
            "/new"
            (toWeb ++ limited "chatmail_new" (3 * perMinute))
          ]
          [
            "location"
            "="
            "/cgi-bin/newemail.py"
            (toWeb ++ limited "chatmail_new" (3 * perMinute))
          ]
          [
            "location"
            "="
            "/delete"
            (toWeb ++ limited "chatmail_delete" 10)
          ]
          [
            "location"
            "@too-many"
            [
              [
                "default_type"
                "application/json"
              ]
              [
                "add_header"
                "Retry-After"
                "60"
                "always"
              ]
              [
                "return"
                "429"
                "{\"reason\": \"Too many requests came from your network. Please try again in some minutes.\"}\n"
              ]
            ]
          ]
          [
            "location"
            "="
            "/mxdeliv"
            toDelivery
          ]
          [
            "location"
            "@chatmail_too_large"
            [
              [
                "default_type"
                "text/plain"
              ]
              [
                "return"
                "413"
                "552 Message exceeds maximum size"
              ]
            ]
          ]
        ]
        ++ locations
      )
    ]
  ];

  # Where an ACME client leaves its answers (RFC 8555 section 8.3).
  acmeChallenge =
    if settings.certificate.source != "acme" then
      [ ]
    else
      [
        [
          "location"
          "/.well-known/acme-challenge/"
          [
            [
              "root"
              "${platform.state}/acme/acme-challenge"
            ]
          ]
        ]
      ];

  # The client's, not the stream context's; without the PROXY protocol nothing changes.
  realAddress = [
    [
      "set_real_ip_from"
      "127.0.0.1"
    ]
    [
      "real_ip_header"
      "proxy_protocol"
    ]
  ];

  https = [
    [
      "listen"
      (local proxied.https)
      "ssl"
      "proxy_protocol"
    ]
    [
      "ssl_certificate"
      names.files.certificate
    ]
    [
      "ssl_certificate_key"
      names.files.certificateKey
    ]
    [
      "ssl_protocols"
      "TLSv1.2"
      "TLSv1.3"
    ]
    [
      "ssl_session_tickets"
      "off"
    ]
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

  # From `crit` on, messages carry neither request lines nor client addresses.
  errorLevel = "crit";

  main = [
    [
      "worker_processes"
      "auto"
    ]
  ];

  # The whole file, where no other program writes the main context.
  whole =
    platform.nginx.main
    ++ main
    ++ [
      [
        "error_log"
        "syslog:server=unix:/dev/log,nohostname"
        errorLevel
      ]
      [
        "events"
        events
      ]
      [
        "stream"
        stream
      ]
      [
        "http"
        (
          [
            [
              "include"
              platform.nginx.mimeTypes
            ]
            # NixOS writes this one itself, and nginx takes it once.
            [
              "server_tokens"
              "off"
            ]
          ]
          ++ realAddress
          ++ http
        )
      ]
    ];
}
// {
  ports = { inherit (names.ports) http https; };
}
