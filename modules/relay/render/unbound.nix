# unbound.conf(5) from a set of clauses in the shape of NixOS' services.unbound.settings: clause -> option -> value or list.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    isBool
    isInt
    isList
    isString
    map
    toString
    typeOf
    ;
  value =
    path: v:
    if isBool v then
      if v then "yes" else "no"
    else if isInt v then
      toString v
    else if isString v then
      "\"${v}\""
    else
      throw "unbound: ${path} has no text form (${typeOf v})";
  # access-control takes two bare words, the only option here that does.
  option =
    clause: name: v:
    if isList v then
      concatLists (map (option clause name) v)
    else
      [ "  ${name}: ${if name == "access-control" then v else value "${clause}/${name}" v}" ];
  clause =
    name: options:
    [ "${name}:" ] ++ concatLists (map (key: option name key options.${key}) (attrNames options));
in
settings:
concatStringsSep "" (
  map (line: "${line}\n") (
    concatLists (map (name: clause name settings.${name}) (attrNames settings))
  )
)
