# The website: how its pages are rendered, at boot and whenever a fact on them changes, and how nginx serves them.
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
  # Clients verify the certificate of such a name, and accept a self-signed one only if the login link says so
  # (docs/wire.md, "Links").
  bySelf = isSelfSigned && builtins.substring 0 1 names.host != "_";
  root = if own == null then "${files.site}/current" else own;

  # A visitor who has not chosen a language gets the first available one of the browser's first three. nginx finds the languages
  # as folders, so a new one needs no change here.
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
    # Pages load nothing from other hosts and send nothing to them. Our pages have no forms and no inline styles, and only one
    # script, which fetches a login where a link is not enough (`bySelf`). The operator's own website may contain all of these.
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
    # The content depends on the language.
    Vary = "Accept-Language";
    # The header has no effect if the certificate cannot be verified (RFC 6797 8.1).
    ${if isSelfSigned then null else "Strict-Transport-Security"} = "max-age=31536000";
  };

  locations = {
    # The operator's website may be a git checkout, so hidden files are not served.
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
        # nginx must be able to read the pages.
        UMask = "0022";
      };
    }
  );
}
