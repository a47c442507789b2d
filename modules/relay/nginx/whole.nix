# A complete nginx.conf, for systems where no other program writes the main context.
{ platform, nginx }:
platform.nginx.main
++ nginx.main
++ [
  # nginx counts stderr as a file. With syslog alone it would also open its default log, which names every client whose request
  # was refused (ngx_log_open_default).
  "error_log stderr ${nginx.errorLevel}"
  { inherit (nginx) events; }
  { inherit (nginx) stream; }
  {
    http = [
      "include ${platform.nginx.mimeTypes}"
      # NixOS writes this directive itself, and nginx accepts it only once.
      "server_tokens off"
    ]
    ++ nginx.realAddress
    ++ nginx.http;
  }
]
