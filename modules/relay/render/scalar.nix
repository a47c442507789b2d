# A bool, an integer or a string as text; anything else is refused with the name of the format and where it stands.
format: path: v:
let
  inherit (builtins)
    isBool
    isInt
    isString
    toString
    typeOf
    ;
in
if isBool v then
  if v then "yes" else "no"
else if isInt v then
  toString v
else if isString v then
  v
else
  throw "${format}: ${path} has no text form (${typeOf v})"
