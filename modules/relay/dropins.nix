# What is added to units that belong to other packages: order, and returning by themselves.
let
  # A line that names somebody (a mail address, a client's address) is not kept (systemd.exec(5), LogFilterPatterns=).
  # Postfix has no setting for it. `chatmail status` and the queue tell about faults without naming people.
  noNames = {
    LogFilterPatterns = [
      "~@"
      "~([0-9]{1,3}\\.){3}[0-9]{1,3}"
      "~\\[[0-9a-f]*:[0-9a-f:]*\\]"
      # "SASL PLAIN authentication failed: ..., sasl_username=somebody": the name as the client typed it
      "~sasl_username="
    ];
  };
  after = units: {
    After = units;
    Wants = units;
  };
in
{
  "postfix.service" = {
    Unit = after [
      "chatmail-filter.service"
      # It tells the filter whose rules differ.
      "chatmail-accounts.service"
    ]
    // {
      StartLimitIntervalSec = 0;
    };
    Service = noNames // {
      Restart = "always";
      RestartSec = "1s";
    };
  };
  "dovecot.service" = {
    Unit =
      after [
        "chatmail-accounts-grant.socket"
        "chatmail-accounts-dict.socket"
        "chatmail-accounts.service"
      ]
      // {
        StartLimitIntervalSec = 0;
      };
    Service = noNames // {
      Restart = "always";
      RestartSec = "1s";
      # Two descriptors for each hibernated client and one for its TLS connection.
      LimitNOFILE = 524288;
    };
  };
  "nginx.service" = {
    Unit.StartLimitIntervalSec = 0;
    Service = {
      # Whatever the level, a message about a connection ends with the client's address and the request line.
      LogFilterPatterns = [ "~, client: " ];
      Restart = "always";
      RestartSec = "1s";
      # The most that the kernel gives (fs.nr_open), and more than the settings can make of worker_connections.
      LimitNOFILE = 1048576;
    };
  };
  # Without it no mail comes in or goes out.
  "unbound.service" = {
    Unit.StartLimitIntervalSec = 0;
    Service = {
      Restart = "always";
      RestartSec = "1s";
    };
  };
}
