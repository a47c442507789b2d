# Dovecot with the relay's configuration. Operators can override each setting in services.dovecot2.settings with lib.mkForce.
{ config, lib, ... }:
let
  cfg = config.services.chatmail;
in
{
  config = lib.mkIf cfg.relay.active {
    services.dovecot2 = {
      enable = true;
      # The module defaults to Dovecot 2.3 on hosts whose system.stateVersion is older than 26.05.
      package = cfg.dovecotPackage;
      settings = cfg.relay.dovecot // {
        # Some versions of the module set this even without Pigeonhole, and Dovecot then refuses to start
        # (https://github.com/NixOS/nixpkgs/pull/509558).
        sieve_script_bin_path = null;
      };
      # The relay has its own user for mailboxes and its own account book.
      createMailUser = false;
      enablePAM = false;
    };
  };
}
