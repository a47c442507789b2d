# Postfix from the relay's value. Any line of it can be overridden in services.postfix.settings with lib.mkForce.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf relay.active {
    services.postfix = {
      enable = true;
      settings = { inherit (relay.postfix) main master; };
      # Empty, or the module would add an alias map to the relay's alias_maps, which is empty: there are no local users.
      postmasterAlias = "";
      rootAlias = "";
    };
  };
}
