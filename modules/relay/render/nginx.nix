# nginx configuration text from a list of directives:
#
#   "listen 80"                       words separated by spaces
#   [ "return" "200" "two words" ]    a list of words, for words that contain spaces or are empty
#   { "location /" = [ … ]; }         a block with its directives; several blocks are printed in the order of their names
#
# Words are quoted if necessary (https://nginx.org/en/docs/dev/development_guide.html, "ngx_conf_file").
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

  # Backslashes are not escaped, because nginx passes them to regular expressions unchanged.
  quote =
    w:
    if match "[^[:space:]\"'{};#]+" w != null then
      w
    else if match "[^\n]*" w != null then
      "\"${replaceStrings [ "\"" ] [ "\\\"" ] w}\""
    else
      # The program that formats nginx.conf on NixOS would indent the second line.
      throw "nginx: a word has a line end (${builtins.toJSON w})";

  word =
    w:
    if isString w then
      quote w
    else if isInt w then
      toString w
    else
      throw "nginx: a word has no text form (${typeOf w})";

  # Print the words of a string (split at spaces) or of a list.
  words =
    w:
    if isString w then
      # An empty string that keeps the string context (its store paths), which `split` drops.
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
