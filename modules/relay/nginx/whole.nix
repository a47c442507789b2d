# nginx.conf where no other program writes the main context.
{ platform, nginx }:
platform.nginx.main
++ nginx.main
++ [
  # nginx takes this for a file. With syslog alone it would also open its default log, which names each client that was refused
  # something (ngx_log_open_default).
  "error_log stderr ${nginx.errorLevel}"
  { inherit (nginx) events; }
  { inherit (nginx) stream; }
  {
    http = [
      "include ${platform.nginx.mimeTypes}"
      # NixOS writes this one itself, and nginx takes it once.
      "server_tokens off"
    ]
    ++ nginx.realAddress
    ++ nginx.http;
  }
]
