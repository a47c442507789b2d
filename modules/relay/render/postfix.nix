# main.cf and master.cf from attribute sets in the shape of NixOS' services.postfix.settings (postconf(5), master(5)).
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    isBool
    isList
    map
    toString
    ;

  value =
    name: v:
    if isList v then concatStringsSep ", " (map (value name) v) else import ./scalar.nix "postfix" name v;

  column =
    v:
    if v == null then
      "-"
    else if isBool v then
      if v then "y" else "n"
    else
      toString v;

  service =
    key: s:
    concatStringsSep " " (
      [
        (s.name or key)
        s.type
        (column (s.private or null))
        (column (s.privileged or null))
        (column (s.chroot or null))
        (column (s.wakeup or null))
        (column (s.maxproc or null))
        (s.command or key)
      ]
      ++ (s.args or [ ])
    );
in
{
  main =
    settings:
    concatStringsSep "" (
      map (name: "${name} = ${value name settings.${name}}\n") (
        filter (name: settings.${name} != null) (attrNames settings)
      )
    );

  master =
    services: concatStringsSep "" (map (key: "${service key services.${key}}\n") (attrNames services));
}
