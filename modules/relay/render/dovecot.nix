# A Dovecot 2.4 configuration from a tree in the shape of NixOS' services.dovecot2.settings:
#   null is omitted; a bool prints as yes/no, an int or a string as it is, and a list of strings joined by spaces;
#   a set is a block whose key is "kind name"; a list of sets is several blocks, each named by `_section.name`.
# Dovecot requires the two version lines to come first.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    filter
    isAttrs
    isList
    map
    removeAttrs
    ;

  versions = [
    "dovecot_config_version"
    "dovecot_storage_version"
  ];

  scalar =
    path: v:
    if isList v then concatStringsSep " " (map (scalar path) v) else import ./scalar.nix "dovecot" path v;

  block =
    indent: path: head: tree:
    [ "${indent}${head} {" ] ++ lines "${indent}  " path (removeAttrs tree [ "_section" ]) ++ [ "${indent}}" ];

  setting =
    indent: path: key: v:
    let
      here = if path == "" then key else "${path}/${key}";
    in
    if v == null then
      [ ]
    else if isAttrs v then
      block indent here key v
    else if isList v && v != [ ] && isAttrs (builtins.head v) then
      concatLists (map (tree: block indent here "${key} ${tree._section.name}" tree) v)
    else
      [ "${indent}${key} = ${scalar here v}" ];

  lines =
    indent: path: tree:
    concatLists (map (key: setting indent path key tree.${key}) (attrNames tree));
in
tree:
concatStringsSep "" (
  map (line: "${line}\n") (
    concatLists (map (key: setting "" "" key tree.${key}) (filter (key: tree ? ${key}) versions))
    ++ lines "" "" (removeAttrs tree versions)
  )
)
