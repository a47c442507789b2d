# nginx from the relay's value: its contexts are printed into those of services.nginx.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
  text = import ./relay/render/nginx.nix;
in
{
  config = lib.mkIf relay.active {
    services.nginx = {
      enable = true;
      # A restart would cut every connection on port 443, IMAP among them.
      enableReload = true;
      logError = "stderr ${relay.nginx.errorLevel}";
      appendConfig = text relay.nginx.main;
      eventsConfig = text relay.nginx.events;
      streamConfig = text relay.nginx.stream;
      appendHttpConfig = text relay.nginx.http;
      # Without the module's `localhost`, which would answer on port 80 for every name that nobody knows.
      virtualHosts = { };
      # Port 443 is shared by protocol; virtual hosts of the operator's are behind it, beside the relay's own.
      defaultListen = lib.mkDefault relay.nginx.otherSites;
      # They see the client's address, which nginx' stream context tells them.
      commonHttpConfig = text relay.nginx.realAddress;
    };
  };
}
