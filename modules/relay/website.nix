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
  isSelfSigned = settings.certificate.source == "self-signed";
  # Clients verify certificates of such a name, and this one only passes if the login link says so (WIRE contract 2.5).
  bySelf = isSelfSigned && builtins.substring 0 1 names.host != "_";
  root = if own == null then "${files.site}/current" else own;

  # A visitor who does not choose gets the first of the three languages that the browser lists first. Which languages there are
  # only the folder knows, so nothing here changes with a new one.
  language = nth: before: [
    "default none"
    "~*^${before}\\s*(?<chatmail_wanted_${nth}>[a-z][a-z])\\b $chatmail_wanted_${nth}"
  ];
  tag = "[^,]*,";
  page = names: [
    "root ${root}"
    "charset utf-8"
    "expires -1"
    (
      [ "try_files" ]
      ++ map (nth: "/$chatmail_language_${nth}${builtins.head names}") [
        "1"
        "2"
        "3"
      ]
      ++ names
      ++ [ "=404" ]
    )
  ];
in
{
  maps = {
    "$http_accept_language $chatmail_language_1" = language "1" "";
    "$http_accept_language $chatmail_language_2" = language "2" tag;
    "$http_accept_language $chatmail_language_3" = language "3" "${tag}${tag}";
  };

  headers = {
    # Pages load nothing from other hosts and send nothing there. Ours have no form and no inline style, and one script, which
    # fetches a login where links alone cannot (`bySelf`). A site of the operator's may have its own.
    Content-Security-Policy =
      if own == null then
        "default-src 'none'; ${
          if bySelf then "script-src 'self'; connect-src 'self'; " else ""
        }style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
      else
        "default-src 'self'; img-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
    Referrer-Policy = "no-referrer";
    X-Content-Type-Options = "nosniff";
    Cross-Origin-Opener-Policy = "same-origin";
    Permissions-Policy = "camera=(), geolocation=(), microphone=()";
    # The same address in another language is another answer.
    Vary = "Accept-Language";
    # RFC 6797 8.1: without effect where the certificate cannot be verified.
    ${if isSelfSigned then null else "Strict-Transport-Security"} = "max-age=31536000";
  };

  locations = {
    # A ready site may be a checkout of its source.
    "~ /\\.(?!well-known/)" = [ "return 404" ];
    "= /" = page [ "/index.html" ];
    "/" = page [
      "$uri"
      "\${uri}index.html"
    ];
  };

  units.${if own == null then "chatmail-website.service" else null} = unit.wanted (
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
}
