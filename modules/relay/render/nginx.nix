# nginx configuration text from a list of directives:
#
#   "listen 80"                       its words, with a blank between them
#   [ "return" "200" "two words" ]    the same where a word has blanks, or none of its own characters
#   { "location /" = [ … ]; }         a block and the directives inside; several blocks come in the order of their names
#
# Words are quoted when they need it (https://nginx.org/en/docs/dev/development_guide.html, "ngx_conf_file").
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    filter
    isAttrs
    isInt
    isString
    map
    match
    replaceStrings
    split
    substring
    toString
    typeOf
    ;

  # Backslashes stay: in a regular expression nginx wants them as they are.
  quote =
    w: if match "[^[:space:]\"'{};#]+" w != null then w else "\"${replaceStrings [ "\"" ] [ "\\\"" ] w}\"";

  word =
    w:
    if isString w then
      quote w
    else if isInt w then
      toString w
    else
      throw "nginx: a word has no text form (${typeOf w})";

  # A string is the words between its blanks, a list is the words themselves.
  words =
    w:
    if isString w then
      # Nothing of it, but for what it needs from the Nix store, which `split` forgets.
      substring 0 0 w + words (filter (x: isString x && x != "") (split " " w))
    else
      concatStringsSep " " (map word w);

  directive =
    indent: d:
    if isAttrs d then
      concatLists (
        map (
          name: [ "${indent}${words name} {" ] ++ lines "${indent}    " d.${name} ++ [ "${indent}}" ]
        ) (attrNames d)
      )
    else
      [ "${indent}${words d};" ];

  lines = indent: directives: concatLists (map (directive indent) directives);
in
directives: concatStringsSep "" (map (line: "${line}\n") (lines "" directives))
