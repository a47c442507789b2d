# nginx configuration text from a list of directives. A directive is a list: its words and, when it is a block, the list of
# directives inside as the last element. [ "listen" "80" ]  [ "server" [ [ "listen" "80" ] ] ]
# Words are quoted when they need it (https://nginx.org/en/docs/dev/development_guide.html, "ngx_conf_file").
let
  inherit (builtins)
    concatLists
    concatStringsSep
    elemAt
    filter
    isInt
    isList
    isString
    length
    map
    match
    replaceStrings
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

  directive =
    indent: d:
    let
      last = elemAt d (length d - 1);
      isBlock = isList last;
      words = concatStringsSep " " (map word (filter (w: !isList w) d));
    in
    if isBlock then
      [ "${indent}${words} {" ] ++ lines "${indent}    " last ++ [ "${indent}}" ]
    else
      [ "${indent}${words};" ];

  lines = indent: directives: concatLists (map (directive indent) directives);
in
directives: concatStringsSep "" (map (line: "${line}\n") (lines "" directives))
