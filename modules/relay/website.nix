# The website: pages rendered once, at boot and when something they say has changed, and how nginx serves them.
{
  settings,
  names,
  unit,
  ...
}:
let
  inherit (names) files users;
  own = settings.website.root;
  # A certificate of its own under a name that clients would verify: the link must tell them not to (WIRE contract 2.5).
  bySelf =
    settings.certificate.source == "self-signed" && builtins.substring 0 1 names.host != "_";
  root = if own == null then "${files.site}/current" else own;

  # The language folder a visitor gets without asking: the first three that the browser names, in its order. Which languages
  # there are is only known to the folder, so nothing here changes with a new one.
  language =
    nth: before: {
      "map $http_accept_language $chatmail_language_${nth}" = [
        "default none"
        "~*^${before}\\s*(?<chatmail_wanted_${nth}>[a-z][a-z])\\b $chatmail_wanted_${nth}"
      ];
    };
  tag = "[^,]*,";
  page = names: [
    "root ${root}"
    "charset utf-8"
    "expires -1"
    (try names)
  ];
  try =
    names:
    [ "try_files" ]
    ++ map (nth: "/$chatmail_language_${nth}${builtins.head names}") [
      "1"
      "2"
      "3"
    ]
    ++ names
    ++ [ "=404" ];
  header = name: value: [
    "add_header"
    name
    value
    "always"
  ];
in
{
  nginx = {
    maps = [
      (language "1" "")
      (language "2" tag)
      (language "3" "${tag}${tag}")
    ];

    # Nothing is loaded from elsewhere, nothing is told to elsewhere. Our pages have no form and no inline style. The only script
    # fetches a login where links alone cannot (`bySelf`). A site of the operator's may have its own.
    headers = [
      (header "Content-Security-Policy" (
        if own == null then
          "default-src 'none'; ${
            if bySelf then "script-src 'self'; connect-src 'self'; " else ""
          }style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        else
          "default-src 'self'; img-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
      ))
      (header "Referrer-Policy" "no-referrer")
      (header "X-Content-Type-Options" "nosniff")
      (header "Cross-Origin-Opener-Policy" "same-origin")
      (header "Permissions-Policy" "camera=(), geolocation=(), microphone=()")
      # The same address in another language is another answer.
      (header "Vary" "Accept-Language")
      (header "Retry-After" "$chatmail_retry_after")
    ]
    ++ (
      # RFC 6797 section 8.1: means nothing with a certificate that nobody can verify.
      if settings.certificate.source == "self-signed" then
        [ ]
      else
        [ (header "Strict-Transport-Security" "max-age=31536000") ]
    );

    locations = [
      # A ready site may be a checkout of its source.
      { "location ~ /\\.(?!well-known/)" = [ "return 404" ]; }
      { "location = /" = page [ "/index.html" ]; }
      {
        "location /" = page [
          "$uri"
          "\${uri}index.html"
        ];
      }
    ];
  };

  units =
    if own != null then
      { }
    else
      {
        "chatmail-website.service" = unit.wanted (
          unit.job {
            description = "chatmail website: pages from the relay's settings";
            program = "chatmail-website";
            order.Before = [ "nginx.service" ];
            service = {
              User = users.web;
              StateDirectory = "chatmail-website";
              StateDirectoryMode = "0755";
              # nginx reads what is written.
              UMask = "0022";
            };
          }
        );
      };
}
