# Opens the relay's ports in the firewall.
{ config, lib, ... }:
let
  cfg = config.services.chatmail;
in
{
  config = lib.mkIf (cfg.relay.active && cfg.openFirewall) {
    networking.firewall = {
      allowedTCPPorts = builtins.attrValues cfg.relay.ports;
      allowedUDPPortRanges = builtins.attrValues cfg.relay.udp;
    };
  };
}
