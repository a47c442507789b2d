# What a Prometheus on this host is told about the relay; without `services.prometheus.enable` it is told to nobody.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf (relay.active && relay.prometheus != null) {
    services.prometheus = {
      scrapeConfigs = [ relay.prometheus.scrapeConfig ];
      # A rule file is YAML, of which JSON is a part.
      rules = [ (builtins.toJSON relay.prometheus.rules) ];
    };
  };
}
