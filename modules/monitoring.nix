# What a Prometheus on this host is told about the relay; without `services.prometheus.enable` it is told to nobody.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf (relay.active && relay.prometheus != { }) {
    services.prometheus = {
      scrapeConfigs = [ relay.prometheus.scrapeConfig ];
      # A file of its own, for `rules` are joined to one text with the operator's. YAML, of which JSON is a part.
      ruleFiles = [ (pkgs.writeText "chatmail.rules" (builtins.toJSON relay.prometheus.rules)) ];
    };
  };
}
