# Metrics for Prometheus (chatmaild.metrics): a listener on loopback that systemd opens, and the configuration for a Prometheus.
#
# Each scrape starts a process of its own. So nothing runs between scrapes, and a hostile client harms only its own process. The
# process asks two daemons and the queue for counters, and cannot read their files.
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
      # Postfix itself, because nginx answers on the public port.
      inherit (names.local) submissions;
    };

    units = {
      "chatmail-metrics.socket" = {
        Unit.Description = "chatmail metrics: scrapes from this host";
        Socket = {
          ListenStream = "127.0.0.1:${toString port}";
          Accept = true;
          # Prometheus needs one. A local user who keeps all of them open stops only the scrapes.
          MaxConnections = 8;
          TriggerLimitIntervalSec = "0";
        };
        Install.WantedBy = [ "sockets.target" ];
      };
      "chatmail-accounts-numbers.socket" = unit.socket {
        description = "chatmail accounts: counters for chatmail-metrics";
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
        # Prometheus reports failed scrapes, so they do not stay behind as failed units.
        order.CollectMode = "inactive-or-failed";
        # It fetches the certificates from the public ports.
        service = unit.reaches.loopback // {
          User = users.metrics;
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_INET"
            "AF_INET6"
            # Postfix' programs list the host's addresses when they start.
            "AF_NETLINK"
          ];
          TimeoutStartSec = "60s";
          # Drops systemd's three lines for each scrape.
          LogLevelMax = "notice";
        };
      };
    };

    users.${users.metrics}.description = "chatmail metrics";
    groups = {
      # To open the filter's socket for counters.
      ${users.filter} = [ users.metrics ];
      # To list Postfix' queue.
      ${platform.postfix.queueGroup} = [ users.metrics ];
    };

    # In the format of Prometheus' configuration and rule files.
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
