# Port 443 shared by HTTPS, IMAP and SMTP, in the context `stream`. nginx chooses by the client's ALPN and decrypts nothing.
{ ports, proxied }:
let
  local = port: "127.0.0.1:${toString port}";
in
[
  # ALPN names from the registry of RFC 7301. A client that offers another name or none gets HTTPS.
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
      # Longer than the 29 minutes for which a client may be silent in IDLE (RFC 2177).
      "proxy_timeout 1h"
      "proxy_socket_keepalive on"
    ];
  }
]
