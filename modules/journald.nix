# The journal of a relay lives in memory and is short: nothing on the disk says what happened the week before.
{ config, lib, ... }:
{
  config = lib.mkIf config.services.chatmail.relay.active {
    services.journald = {
      storage = lib.mkDefault "volatile";
      # First, so that a line of the operator's counts: journald takes the last one.
      extraConfig = lib.mkBefore ''
        MaxRetentionSec=3day
      '';
    };
  };
}
