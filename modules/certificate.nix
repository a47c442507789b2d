# A certificate of the relay's own making: the unit is the value's, what it makes must also be readable for nginx.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services.chatmail) relay;
  chmod = lib.getExe' pkgs.coreutils "chmod";
in
{
  config = lib.mkIf (relay.active && relay.settings.certificate.source == "self-signed") {
    systemd.services.chatmail-certificate.serviceConfig = {
      # On NixOS nginx is never root, not even while it reads the key.
      Group = config.services.nginx.group;
      ExecStartPost = "${chmod} 0640 ${relay.chatmaild.paths.certificateKey}";
      # The value's 0700 is for systems where only root reads it.
      StateDirectoryMode = lib.mkForce "0750";
    };
    systemd.services.nginx = {
      wants = [ "chatmail-certificate.service" ];
      after = [ "chatmail-certificate.service" ];
    };
  };
}
