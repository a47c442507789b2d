# Port 443 shared by HTTPS, IMAP and SMTP: the context `stream`. What a client offers by ALPN decides, and nothing is decrypted.
{ ports, proxied }:
let
  local = port: "127.0.0.1:${toString port}";
in
[
  # ALPN names of RFC 7301's registry; a client that offers none, or anything else, gets HTTPS.
  {
    "map $ssl_preread_alpn_protocols $chatmail_upstream" = [
      "~\\bsmtp\\b ${local proxied.submissions}"
      "~\\bimap\\b ${local proxied.imaps}"
      "default ${local proxied.https}"
    ];
  }
  {
    server = import ./listen.nix ports.https ++ [
      "ssl_preread on"
      "preread_timeout 10s"
      "proxy_pass $chatmail_upstream"
      "proxy_protocol on"
      # Above the 29 minutes that a client may stay in IDLE without a word (RFC 2177).
      "proxy_timeout 1h"
      "proxy_socket_keepalive on"
    ];
  }
]
