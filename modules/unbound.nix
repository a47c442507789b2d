# The relay's own resolver, which becomes the host's as well (services.unbound.resolveLocalQueries).
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
