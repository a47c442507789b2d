# The relay's own resolver. The host uses it too (services.unbound.resolveLocalQueries).
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf relay.active {
    services.unbound = {
      enable = true;
      settings = relay.unbound;
    };
  };
}
