# What chatmail-web answers: new addresses and their deletion, and mail of other relays.
{
  host,
  socket,
  maxSize,
  limits,
}:
let
  upstream = more: [
    "proxy_pass http://unix:${socket}"
    "proxy_set_header Host ${host}"
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
  # Mail of other relays (WIRE contract: mxdeliv), streamed so that nothing of it is written to a disk before Postfix does.
  delivery = [
    "client_max_body_size ${toString maxSize}"
    "error_page 413 =413 @chatmail_too_large"
    "proxy_request_buffering off"
    "proxy_read_timeout 120s"
  ]
  ++ upstream [ "proxy_set_header X-Real-IP $remote_addr" ];
in
[
  { "location = /new" = api ++ limits.new; }
  { "location = /cgi-bin/newemail.py" = api ++ limits.new; }
  { "location = /delete" = api ++ limits.delete; }
]
++ limits.locations
++ [
  { "location = /mxdeliv" = delivery ++ limits.mail; }
  {
    "location @chatmail_too_large" = [
      "default_type text/plain"
      [
        "return"
        "413"
        "552 Message exceeds maximum size"
      ]
    ];
  }
]
