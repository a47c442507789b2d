# The ports where people hand in mail: the context `stream`. Nothing is decrypted, and Postfix is not told who connects
# (../names.nix, `local`). So it cannot count the connections of one client either, and that is done here, over all ports
# together.
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
      # Postfix takes a connection at once, or is down.
      "proxy_connect_timeout 5s"
      # Postfix waits for a client two minutes at most, and five for TLS to begin.
      "proxy_timeout 10m"
    ];
  };
in
[
  # Room for 100,000 networks that are connected at once.
  "limit_conn_zone $chatmail_network zone=chatmail_submission:16m"
  (handOn (import ./listen.nix ports.submissions) local.submissions)
  (handOn (import ./listen.nix ports.submission) local.submission)
  # What came in on port 443, with the PROXY protocol in front, which ends here.
  (handOn [
    "listen 127.0.0.1:${toString proxied.submissions} proxy_protocol"
    "set_real_ip_from 127.0.0.1"
  ] local.submissions)
]
