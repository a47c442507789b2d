# Listen on a port of all addresses of the host, IPv4 and IPv6.
port: [
  "listen ${toString port}"
  "listen [::]:${toString port}"
]
