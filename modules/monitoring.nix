# Lets a Prometheus on this host scrape the relay. Without `services.prometheus.enable` this has no effect.
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
      # A separate file, because NixOS joins all `rules` into one text. Prometheus reads YAML, which includes JSON.
      ruleFiles = [ (pkgs.writeText "chatmail.rules" (builtins.toJSON relay.prometheus.rules)) ];
    };
  };
}
