# Prints unit files, journald.conf and sysusers.d files (systemd.syntax(7), sysusers.d(5)). A section of a unit is key -> value; a
# list prints one line per element.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    isList
    ;
  value = import ./scalar.nix "systemd";
  key =
    section: name: v:
    if isList v then
      map (item: "${name}=${value "${section}/${name}" item}") v
    else
      [ "${name}=${value "${section}/${name}" v}" ];
  section =
    name: keys: [ "[${name}]" ] ++ concatLists (map (k: key name k keys.${k}) (attrNames keys));
  sections = set: text (concatLists (map (name: section name set.${name}) (attrNames set)));
  text = lines: concatStringsSep "" (map (line: "${line}\n") lines);
in
{
  unit = unit: sections (removeAttrs unit [ "reads" ]);

  journald = keys: sections { Journal = keys; };

  sysusers =
    { users, groups }:
    text (
      map (name: "u ${name} - \"${users.${name}.description}\"") (attrNames users)
      ++ concatLists (
        map (group: map (member: "m ${member} ${group}") groups.${group}) (attrNames groups)
      )
    );
}
