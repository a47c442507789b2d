# The submission ports, in the context `stream`. nginx decrypts nothing and does not pass the client's address to Postfix (see
# ../names.nix, `local`). Postfix therefore cannot count connections per client, so nginx counts them, over all ports together.
{
  ports,
  proxied,
  local,
  perAddress,
}:
let
  handOn = listen: port: {
    server = listen ++ [
      "limit_conn chatmail_submission ${toString perAddress}"
      "proxy_pass 127.0.0.1:${toString port}"
      # Postfix accepts a connection at once unless it is down.
      "proxy_connect_timeout 5s"
      # Longer than Postfix waits for a client: at most two minutes, and five for the TLS handshake.
      "proxy_timeout 10m"
    ];
  };
in
[
  # Enough for 100,000 networks that are connected at once.
  "limit_conn_zone $chatmail_network zone=chatmail_submission:16m"
  (handOn (import ./listen.nix ports.submissions) local.submissions)
  (handOn (import ./listen.nix ports.submission) local.submission)
  # Connections from port 443 begin with the PROXY protocol, which is not passed on.
  (handOn [
    "listen 127.0.0.1:${toString proxied.submissions} proxy_protocol"
    "set_real_ip_from 127.0.0.1"
  ] local.submissions)
]
