# Builds systemd units: daemons, jobs that end by themselves, the sockets that systemd opens for both, and drop-ins for the
# daemons of other packages. Callers add what is specific to them, and each exception from the sandbox with its reason.
{ platform, names }:
let
  hardening = import ./hardening.nix;

  # A daemon restarts at once after its first failure, then with growing delays, and without end (systemd.service(5)).
  restart = {
    Restart = "always";
    RestartSec = "100ms";
    RestartSteps = 8;
    RestartMaxDelaySec = "30s";
  };

  run = program: "${platform.programs.${program}} --config ${names.files.config}";

  of =
    {
      description,
      sockets ? [ ],
      order ? { },
      reads ? [ ],
      service,
    }:
    {
      inherit reads;
      Unit = {
        Description = description;
        # systemd must not refuse to start a unit because it was started too often.
        StartLimitIntervalSec = 0;
      }
      // order
      // (
        if sockets == [ ] then
          { }
        else
          {
            Requires = sockets;
            After = sockets ++ order.After or [ ];
          }
      );
      Service = hardening // (if sockets == [ ] then { } else { Sockets = sockets; }) // service;
    };

  wanted = unit: unit // { Install.WantedBy = [ "multi-user.target" ]; };
in
{
  inherit run wanted;

  # Our own programs notify systemd when they are ready. For others, leave out `program` and set ExecStart.
  daemon =
    {
      program ? null,
      reads ? [ ],
      service,
      ...
    }@args:
    wanted (
      of (
        removeAttrs args [ "program" ]
        // {
          reads = (if program == null then [ ] else [ names.files.config ]) ++ reads;
          service =
            restart
            // (
              if program == null then
                { }
              else
                {
                  Type = "notify";
                  ExecStart = run program;
                }
            )
            // service;
        }
      )
    );

  # Started by a timer, a socket, or at boot (`wanted`).
  job =
    {
      program,
      reads ? [ ],
      service,
      ...
    }@args:
    of (
      removeAttrs args [ "program" ]
      // {
        reads = [ names.files.config ] ++ reads;
        service = {
          Type = "oneshot";
          ExecStart = run program;
        }
        // service;
      }
    );

  # systemd keeps the socket open: while the daemon restarts, clients wait instead of being refused.
  socket =
    {
      description,
      path,
      fd,
      service,
      user,
      group,
      mode,
    }:
    {
      Unit.Description = description;
      Socket = {
        ListenStream = path;
        FileDescriptorName = fd;
        Service = service;
        SocketUser = user;
        SocketGroup = group;
        SocketMode = mode;
        DirectoryMode = "0755";
        Backlog = 4096;
        # Otherwise systemd gives the socket up after 20 activations in 2 s (systemd.socket(5)).
        TriggerLimitIntervalSec = "0";
        RemoveOnStop = true;
      };
      Install.WantedBy = [ "sockets.target" ];
    };

  # For a daemon of another package: it starts after the units `after`, and systemd restarts it for as long as it fails.
  addition =
    {
      after ? [ ],
      reads ? [ ],
      service ? { },
    }:
    {
      inherit reads;
      Unit = {
        StartLimitIntervalSec = 0;
      }
      // (
        if after == [ ] then
          { }
        else
          {
            After = after;
            Wants = after;
          }
      );
      Service = {
        Restart = "always";
        RestartSec = "1s";
      }
      // service;
    };

  # Drops each line that holds a mail address or a client's address (systemd.exec(5)). Postfix has no setting for it.
  # `chatmail status` and the queue show faults without naming people.
  withoutNames.LogFilterPatterns = [
    "~@"
    "~([0-9]{1,3}\\.){3}[0-9]{1,3}"
    "~\\[[0-9a-f]*:[0-9a-f:]*\\]"
    # "SASL PLAIN authentication failed: ..., sasl_username=somebody" has the name as the client typed it.
    "~sasl_username="
  ];

  # Networks that a service may reach. The default sandbox allows none.
  reaches = rec {
    internet = {
      PrivateNetwork = false;
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
    };
    loopback = internet // {
      IPAddressDeny = "any";
      IPAddressAllow = "localhost";
    };
  };
}
