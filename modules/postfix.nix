# Postfix from the relay's value. Every line can be overridden in services.postfix.settings with lib.mkForce.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf relay.active {
    services.postfix = {
      enable = true;
      settings = { inherit (relay.postfix) main master; };
      # If these were set, the module would add an alias map. The relay has none, because it has no local users.
      postmasterAlias = "";
      rootAlias = "";
    };
  };
}
