# The lab of tests/harness as NixOS machines: the same addresses, the same name server, and clients that run the same tests.
{ pkgs, lib }:
let
  address4 = number: "192.0.2.${toString number}";
  address6 = number: "2001:db8::${toString number}";
  numbers = {
    dns = 53;
    clients = lib.range 100 115;
  };

  on = addresses: {
    networking.interfaces.eth1 = {
      ipv4.addresses = lib.mkForce (
        map (number: {
          address = address4 number;
          prefixLength = 24;
        }) addresses
      );
      ipv6.addresses = lib.mkForce (
        map (number: {
          address = address6 number;
          prefixLength = 64;
        }) addresses
      );
    };
  };

  rootServer = "ns.root-servers.lab.";
in
rec {
  hints = ''
    . 0 NS ${rootServer}
    ${rootServer} 0 A ${address4 numbers.dns}
    ${rootServer} 0 AAAA ${address6 numbers.dns}
  '';

  # Names that unbound answers itself (RFC 6761, RFC 6303); in the lab they are ordinary names.
  ownNames = [
    "test."
    "2.0.192.in-addr.arpa."
    "8.b.d.0.1.0.0.2.ip6.arpa."
  ];

  # A resolver that uses the lab's root and does not validate, because the lab's zones are not signed.
  resolver = {
    services.unbound = {
      enableRootTrustAnchor = false;
      settings.server = {
        root-hints = "${pkgs.writeText "lab.hints" hints}";
        # Tests change names within seconds.
        cache-max-ttl = 0;
        cache-max-negative-ttl = lib.mkForce 0;
        local-zone = map (name: ''"${name}" nodefault'') ownNames;
      };
    };
  };

  # A relay under test; the harness uses sshd to control it.
  relay = number: settings: {
    imports = [
      ../../../modules
      (on [ number ])
      resolver
    ];
    services.chatmail = {
      enable = true;
      addresses = {
        ipv4 = address4 number;
        ipv6 = address6 number;
      };
    }
    // settings;
    services.openssh.enable = true;
    networking.firewall.allowedTCPPorts = [ 22 ];
    # Tests of faults talk to the daemons' sockets.
    environment.systemPackages = [ pkgs.python3 ];
    virtualisation = {
      memorySize = 1536;
      diskSize = 4096;
    };
  };

  # Knot, with its configuration where harness/dns.py writes it.
  dns = {
    imports = [ (on [ numbers.dns ]) ];
    services.openssh.enable = true;
    networking.firewall.allowedTCPPorts = [
      22
      53
    ];
    networking.firewall.allowedUDPPorts = [ 53 ];
    environment.systemPackages = [ pkgs.knot-dns ];
    users.users.knot = {
      isSystemUser = true;
      group = "knot";
    };
    users.groups.knot = { };
    systemd.services.lab-dns = {
      description = "The lab's name server";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      serviceConfig = {
        Type = "notify";
        User = "knot";
        AmbientCapabilities = [ "CAP_NET_BIND_SERVICE" ];
        # It runs as root, because root owns the directory and the harness rewrites the file as root.
        ExecStartPre = "+${pkgs.coreutils}/bin/cp --no-preserve=mode ${pkgs.writeText "knot.conf" ''
          server:
              listen: [ ${address4 numbers.dns}@53, ${address6 numbers.dns}@53 ]
              user: knot:knot
        ''} /etc/knot/knot.conf";
        ExecStart = "${pkgs.knot-dns}/bin/knotd -c /etc/knot/knot.conf";
        ConfigurationDirectory = "knot";
        RuntimeDirectory = "knot";
        StateDirectory = "knot knot/lab";
      };
    };
  };

  # The machine that runs the tests: it has the repository's tests, and relays.json, with which nixos/plugin.py finds the
  # machines.
  client =
    relays:
    { nodes, ... }:
    let
      python = pkgs.python3.withPackages (ps: [
        ps.aiohttp
        ps.aioice
        ps.aiosmtplib
        ps.cryptography
        ps.deltachat-rpc-client
        ps.dkimpy
        ps.dnspython
        ps.hypothesis
        ps.imap-tools
        ps.pgpy
        ps.pillow
        ps.prometheus-client
        ps.pytest
        ps.pytest-timeout
        ps.zxing-cpp
      ]);
      # harness/deltachat.py expects the server beside the interpreter.
      programs = pkgs.linkFarm "clients" [
        {
          name = "bin/python";
          path = "${python}/bin/python3";
        }
        {
          name = "bin/deltachat-rpc-server";
          path = "${pkgs.deltachat-rpc-server}/bin/deltachat-rpc-server";
        }
      ];
    in
    {
      imports = [
        (on numbers.clients)
        resolver
      ];
      services.unbound.enable = true;
      environment.etc."lab/relays.json".text = builtins.toJSON (
        lib.mapAttrs (
          name: number:
          let
            inherit (nodes.${name}.services.chatmail) relay;
          in
          {
            inherit number;
            inherit (relay) ports chatmaild;
          }
        ) relays
      );
      environment.systemPackages = [
        pkgs.openssh
        (pkgs.writeShellApplication {
          name = "lab-claims";
          text = ''
            cd ${../..}
            export LAB_PYTHON=${programs}/bin/python PYTHONPATH=${../..} PYTHONDONTWRITEBYTECODE=1
            exec "$LAB_PYTHON" -m pytest -p nixos.plugin -p no:cacheprovider --timeout=300 -ra "$@"
          '';
        })
      ];
      virtualisation.memorySize = 2048;
    };

  # Python code for the beginning of a test script: it starts the machines and installs the client's ssh key.
  begin = others: ''
    start_all()
    for machine in [${lib.concatStringsSep ", " others}, client]:
        machine.wait_for_unit("multi-user.target")
    client.succeed("ssh-keygen -q -t ed25519 -N ''' -f /root/.ssh/id_ed25519")
    key = client.succeed("cat /root/.ssh/id_ed25519.pub").strip()
    for machine in [${lib.concatStringsSep ", " others}]:
        machine.succeed("mkdir -p -m 0700 /root/.ssh")
        machine.succeed(f"echo '{key}' > /root/.ssh/authorized_keys")
        machine.wait_for_open_port(22)
  '';
}
