# Requests that nginx passes to chatmail-web: new addresses, deletion of addresses, and mail from other relays.
{ settings, names, ... }:
let
  limits = import ./limits.nix { perMinute = settings.accounts.perNetworkPerMinute; };

  upstream = more: [
    "proxy_pass http://unix:${names.sockets.web}"
    "proxy_set_header Host ${names.host}"
  ]
  ++ more
  ++ [
    [
      "proxy_set_header"
      "Connection"
      ""
    ]
    "proxy_http_version 1.1"
  ];
  api = [ "client_max_body_size 1k" ] ++ upstream [ ];
in
{
  locations = {
    "= /new" = api ++ limits.new;
    "= /cgi-bin/newemail.py" = api ++ limits.new;
    "= /delete" = api ++ limits.delete;
    "@too-many" = [
      "default_type application/json"
      [
        "return"
        "429"
        "{\"reason\": \"Too many requests came from your network. Please try again in a few minutes.\"}"
      ]
    ];

    # Mail from other relays (docs/wire.md, "Mail over HTTPS"). nginx streams it and does not write it to disk.
    "= /mxdeliv" = [
      "client_max_body_size ${toString settings.message.maxSize}"
      "error_page 413 =413 @chatmail_too_large"
      "proxy_request_buffering off"
      "proxy_read_timeout 120s"
    ]
    ++ upstream [ "proxy_set_header X-Real-IP $remote_addr" ]
    ++ limits.mail;
    "@chatmail_too_large" = [
      "default_type text/plain"
      [
        "return"
        "413"
        "552 Message exceeds maximum size"
      ]
    ];
  };

  maps."$status $chatmail_retry_after" = [ "429 60" ];
  headers.Retry-After = "$chatmail_retry_after";
}
