# Print a bool, an integer or a string. Other types are an error that names the format and the path of the value.
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
