# iroh-relay for the realtime channels of apps inside chats. Without it, clients use the relays that they know.
{
  settings,
  platform,
  names,
  unit,
  ...
}:
let
  inherit (names) files users;
  address = "127.0.0.1:${toString names.local.iroh}";
  proxied = [
    "proxy_pass http://${address}"
    "proxy_http_version 1.1"
    "proxy_set_header Host ${names.host}"
  ];
in
if !settings.iroh.enable then
  { metadata.irohRelay = settings.iroh.url; }
else
  {
    metadata.irohRelay = "https://${names.host}";

    # TOML, with the keys of iroh-relay 0.35. The TURN server answers STUN.
    files.${files.irohConfig}.text = ''
      enable_relay = true
      http_bind_addr = "${address}"
      enable_stun = false
      enable_metrics = false
    '';

    locations = {
      "= /relay" = proxied ++ [
        "proxy_set_header Upgrade $http_upgrade"
        "proxy_set_header Connection upgrade"
        # iroh sends a ping every 15 seconds.
        "proxy_read_timeout 5m"
        "proxy_buffering off"
      ];
      # Clients measure with it which relay is near.
      "= /ping" = proxied;
      # Clients detect captive portals with it.
      "= /generate_204" = proxied;
    };

    units."chatmail-iroh.service" = unit.daemon {
      description = "chatmail iroh: realtime channels of apps (iroh-relay)";
      order.After = [ "network.target" ];
      reads = [ files.irohConfig ];
      # Only nginx connects to it.
      service = unit.reaches.loopback // {
        ExecStart = "${platform.programs.iroh-relay} --config-path ${files.irohConfig}";
        User = users.iroh;
        # Its log has the keys and addresses of clients.
        StandardOutput = "null";
        StandardError = "null";
      };
    };

    users.${users.iroh}.description = "chatmail iroh";
  }
