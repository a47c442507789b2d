# Numbers for Prometheus (chatmaild.metrics): a listener on loopback that systemd holds, and what a Prometheus is told about it.
#
# A scrape starts a process for itself, so that nothing more runs while nobody asks, and whatever a peer does is done to a process
# that nobody needs. It may ask two daemons and the queue for numbers, and reads no file of theirs.
{
  settings,
  platform,
  names,
  unit,
  ...
}:
let
  inherit (builtins) attrValues elem;
  inherit (names) sockets users ports;
  inherit (settings.metrics) port;
  taken = attrValues names.ports ++ attrValues names.proxied ++ attrValues names.local;
in
if !settings.metrics.enable then
  { chatmaild.metrics = null; }
else
  {
    problems =
      if elem port taken then
        [ "`metrics.port` (${toString port}) is a port of the relay's own: take another" ]
      else
        [ ];

    chatmaild.metrics = {
      accountsSocket = sockets.numbers;
      filterSocket = sockets.filterNumbers;
      inherit (platform.programs) postqueue;
      inherit (ports) https imaps;
      # Postfix itself: the public port answers for nginx.
      inherit (names.local) submissions;
    };

    units = {
      "chatmail-metrics.socket" = {
        Unit.Description = "chatmail metrics: scrapes, from this host alone";
        Socket = {
          ListenStream = "127.0.0.1:${toString port}";
          Accept = true;
          # One is in use; somebody on this host who keeps the others open stops nothing but scrapes.
          MaxConnections = 8;
          TriggerLimitIntervalSec = "0";
        };
        Install.WantedBy = [ "sockets.target" ];
      };
      "chatmail-accounts-numbers.socket" = unit.socket {
        description = "chatmail accounts: what chatmail-metrics asks";
        path = sockets.numbers;
        fd = "numbers";
        service = "chatmail-accounts.service";
        user = users.mail;
        group = users.metrics;
        mode = "0660";
      };
      "chatmail-metrics@.service" = unit.job {
        description = "chatmail metrics: one scrape";
        program = "chatmail-metrics";
        # A scrape that went wrong is told by Prometheus, and does not lie about as a failed unit.
        order.CollectMode = "inactive-or-failed";
        # It sees which certificates clients are shown.
        service = unit.reaches.loopback // {
          User = users.metrics;
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_INET"
            "AF_INET6"
            # Postfix' programs look at the host's addresses before anything else.
            "AF_NETLINK"
          ];
          TimeoutStartSec = "60s";
          # Without systemd's three lines for each scrape.
          LogLevelMax = "notice";
        };
      };
    };

    users.${users.metrics}.description = "chatmail metrics";
    groups = {
      # The filter's socket for counters.
      ${users.filter} = [ users.metrics ];
      # The list of Postfix' queue.
      ${platform.postfix.queueGroup} = [ users.metrics ];
    };

    # In the shapes of Prometheus' own configuration and rule files.
    prometheus = {
      scrapeConfig = {
        job_name = "chatmail";
        static_configs = [
          {
            targets = [ "127.0.0.1:${toString port}" ];
            labels.instance = names.host;
          }
        ];
      };
      rules.groups = [
        {
          name = "chatmail";
          rules = import ./alerts.nix;
        }
      ];
    };
  }
