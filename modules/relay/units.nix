# The shapes of units: our daemons, jobs that end by themselves, the sockets that systemd holds for both, and what is added to the
# daemons of other packages. A caller gives what is its own, and each exception from the sandbox with its reason.
{ platform, names }:
let
  hardening = import ./hardening.nix;

  # A daemon comes back at once after a first fault and, if it goes on failing, ever more slowly, but for ever
  # (systemd.service(5)).
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
        # Nobody is refused for having asked too often: neither an operator nor a daemon that fails.
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

  # Ours says by itself when it is ready; another's (without `program`) brings its ExecStart.
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

  # Started by whoever needs it: a timer, a socket, or the boot (`wanted`).
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

  # systemd holds the socket: while the daemon restarts, callers wait instead of being refused.
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
        # Without a limit a daemon that cannot start would be started for every caller.
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
    # "SASL PLAIN authentication failed: ..., sasl_username=somebody": the name as the client typed it
    "~sasl_username="
  ];

  # What a service may reach, where the sandbox' nothing is too little.
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
