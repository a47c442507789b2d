{ config, lib, options, ... }:
let
  # journald.conf(5) as one set since 26.11; before, two options.
  structured = options.services.journald ? settings;
in
{
  config = lib.mkIf config.services.chatmail.relay.active {
    services.journald =
      if structured then
        { settings.Journal = { Storage = lib.mkDefault "volatile"; MaxRetentionSec = lib.mkDefault "3day"; }; }
      else
        { storage = lib.mkDefault "volatile"; extraConfig = lib.mkBefore "MaxRetentionSec=3day\n"; };
  };
}
