# The journal from the relay's value. An operator's own settings override it.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (config.services.chatmail) relay;
  others = removeAttrs relay.journal [ "Storage" ];
in
{
  config = lib.mkIf relay.active {
    services.journald =
      # One option for all of journald.conf(5), since NixOS 26.11.
      if options.services.journald ? settings then
        { settings.Journal = lib.mapAttrs (_: lib.mkDefault) relay.journal; }
      else
        {
          storage = lib.mkDefault relay.journal.Storage;
          # Before the operator's lines, because the last one counts.
          extraConfig = lib.mkBefore (
            lib.concatStrings (lib.mapAttrsToList (key: v: "${key}=${v}\n") others)
          );
        };
  };
}
