# The relay's own resolver. The host uses it too.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf relay.active {
    services.unbound = {
      enable = true;
      settings = relay.unbound;
      # 127.0.0.1 in resolv.conf, as the relay's value has it.
      resolveLocalQueries = true;
    };
  };
}
