# Unit files, sysusers.d and tmpfiles.d text (systemd.syntax(7), sysusers.d(5)). A unit is section -> key -> value; a list is one
# line per element.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    isList
    map
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
  text = lines: concatStringsSep "" (map (line: "${line}\n") lines);
in
{
  unit = unit: text (concatLists (map (name: section name unit.${name}) (attrNames unit)));

  sysusers =
    users:
    text (
      concatLists (
        map (
          name:
          let
            user = users.${name};
          in
          (if user.existing or false then [ ] else [ "u ${name} - \"${user.description}\"" ])
          ++ map (group: "m ${name} ${group}") user.memberOf
        ) (attrNames users)
      )
    );
}
