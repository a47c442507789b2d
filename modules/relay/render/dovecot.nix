# A Dovecot 2.4 configuration from a tree in the shape of NixOS' services.dovecot2.settings:
#   null is left out; a bool is yes/no; an int and a string print as they are; a list of strings is joined by spaces;
#   a set is a block, "kind name" in its key; a list of sets is one block each, named by `_section.name`.
# The two version lines come first, because Dovecot demands it.
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
