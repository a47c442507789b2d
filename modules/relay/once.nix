# Joins the sets that several files make under one key. A name that two of them define stops the evaluation.
#
#   key    what the sets are called in the error message
#   sets   list of { from; set; }, where `from` names the file
key: sets:
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    filter
    groupBy
    head
    length
    mapAttrs
    ;

  definitions = groupBy ({ name, ... }: name) (
    concatLists (
      map (
        { from, set }:
        map (name: {
          inherit name from;
          value = set.${name};
        }) (attrNames set)
      ) sets
    )
  );
  conflicts = filter (name: length definitions.${name} > 1) (attrNames definitions);
  message =
    name: "`${key}.${name}` is defined by ${concatStringsSep " and " (map ({ from, ... }: from) definitions.${name})}";
in
if conflicts == [ ] then
  mapAttrs (_: definition: (head definition).value) definitions
else
  throw (concatStringsSep "; " (map message conflicts))
