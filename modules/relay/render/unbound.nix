# unbound.conf(5) from a set of clauses in the shape of NixOS' services.unbound.settings: clause -> option -> value or list.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    isList
    isString
    map
    ;
  value = path: v: if isString v then "\"${v}\"" else import ./scalar.nix "unbound" path v;
  # access-control is the only option here that takes two unquoted words.
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
