# nginx with the relay's configuration, printed into the contexts of services.nginx.
{ config, lib, ... }:
let
  inherit (config.services.chatmail) relay;
  text = import ./relay/render/nginx.nix;
in
{
  config = lib.mkIf relay.active {
    services.nginx = {
      enable = true;
      # A restart would close every connection on port 443, including IMAP.
      enableReload = true;
      logError = "stderr ${relay.nginx.errorLevel}";
      appendConfig = text relay.nginx.main;
      eventsConfig = text relay.nginx.events;
      streamConfig = text relay.nginx.stream;
      appendHttpConfig = text relay.nginx.http;
      # Removes the module's virtual host `localhost`, which would answer on port 80 for every unknown name.
      virtualHosts = { };
      # Port 443 is shared by several protocols. The operator's virtual hosts listen behind it, like the relay's own.
      defaultListen = lib.mkDefault relay.nginx.otherSites;
      # The virtual hosts see the client's address, which nginx' stream context passes on.
      commonHttpConfig = text relay.nginx.realAddress;
    };
  };
}
