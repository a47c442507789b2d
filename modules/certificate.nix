# A certificate of the relay's own making: nginx waits for it.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
in
{
  config = lib.mkIf (relay.active && relay.settings.certificate.source == "self-signed") {
    systemd.services.nginx = {
      wants = [ "chatmail-certificate.service" ];
      after = [ "chatmail-certificate.service" ];
    };
  };
}
