# STUN and TURN for calls: coturn in a unit of its own, independent of a coturn that the host may run for something else.
# chatmail-accounts makes the credentials on request (docs/wire.md, "METADATA"), with a secret that both read from a file.
{
  settings,
  platform,
  names,
  unit,
  ...
}:
let
  inherit (names) files users ports;
  inherit (settings.turn)
    enable
    minPort
    maxPort
    privateAddress
    ;

  # Addresses that the peer of a call cannot have (IANA's special-purpose registries, RFC 6890). Without this list, anyone with a
  # new account could reach the host itself and the networks behind it through the TURN server.
  denied = [
    "0.0.0.0-0.255.255.255"
    "10.0.0.0-10.255.255.255"
    "100.64.0.0-100.127.255.255"
    "127.0.0.0-127.255.255.255"
    "169.254.0.0-169.254.255.255"
    "172.16.0.0-172.31.255.255"
    "192.0.0.0-192.0.0.255"
    "192.0.2.0-192.0.2.255"
    "192.88.99.0-192.88.99.255"
    "192.168.0.0-192.168.255.255"
    "198.18.0.0-198.19.255.255"
    "198.51.100.0-198.51.100.255"
    "203.0.113.0-203.0.113.255"
    "224.0.0.0-255.255.255.255"
    # All but global unicast (2000::/3, RFC 4291 2.4), and what is special in there. Not from `::`: coturn takes that for
    # "whatever there is", all of IPv4 included.
    "::1-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"
    "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
    "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    "3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"
    "4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
  ];

  # turnserver(1). A list prints one line per element, true prints the name alone.
  config = {
    listening-port = ports.turn;
    min-port = minPort;
    max-port = maxPort;
    realm = names.host;
    use-auth-secret = true;
    fingerprint = true;
    no-cli = true;
    # Clients get only a UDP address, and the server reaches peers over UDP only.
    no-tcp = true;
    no-tcp-relay = true;
    no-tls = true;
    no-dtls = true;
    no-multicast-peers = true;
    no-rfc5780 = true;
    no-software-attribute = true;
    stale-nonce = 600;
    # One port for each allocation. A call takes one or two on each side, and one that ended counts for a while yet. An account
    # has one username a day (chatmaild.accounts.turn), so this bounds what one account can take.
    total-quota = maxPort - minPort + 1;
    user-quota = 10;
    # In bytes per second of one allocation; video needs up to 3 Mbit/s. bps-capacity is not set, because coturn divides it by
    # this: 100 Mbit/s would allow 20 allocations, used or not.
    max-bps = 625000;
    # To the journal, not to a file.
    log-file = "stdout";
    simple-log = true;
    pidfile = "";
    # The database of users stays empty.
    userdb = "${platform.runtime}/chatmail-turn/users";
    denied-peer-ip = denied;
    allowed-peer-ip = platform.turn.allowedPeers;
    # As PUBLIC/PRIVATE pairs; coturn would also substitute a single address for IPv6.
    external-ip =
      if privateAddress == null then [ ] else [ "${settings.addresses.ipv4}/${privateAddress}" ];
  };

  line =
    name: v:
    if builtins.isList v then
      builtins.concatStringsSep "" (map (line name) v)
    else if v == true then
      "${name}\n"
    else
      "${name}=${toString v}\n";
in
if !enable then
  { metadata.turn = null; }
else
  {
    metadata.turn = {
      inherit (names) host;
      port = ports.turn;
      secretFile = files.turnSecret;
      settingsFile = files.turnConfig;
      serverFile = files.turnServer;
    };

    files.${files.turnConfig}.text = builtins.concatStringsSep "" (
      map (name: line name config.${name}) (builtins.attrNames config)
    );

    units."chatmail-turn.service" = unit.daemon {
      description = "chatmail TURN: calls through firewalls (coturn)";
      # coturn listens on the addresses that exist when it starts.
      order = {
        After = [ "network-online.target" ];
        Wants = [ "network-online.target" ];
      };
      # chatmail-turn-config also reads chatmaild.json, but uses only paths from it, which no setting changes. So a change of
      # other settings does not end calls.
      reads = [ files.turnConfig ];
      service = unit.reaches.internet // {
        # Nothing that it relays to or asks is on loopback.
        IPAddressDeny = "localhost";
        Type = "notify";
        # Keeps the secret out of the command line and out of files that others can read.
        ExecStartPre = unit.run "chatmail-turn-config";
        ExecStart = "${platform.programs.turnserver} -c ${files.turnServer}";
        User = users.turn;
        RuntimeDirectory = "chatmail-turn";
        RuntimeDirectoryMode = "0700";
        StateDirectory = "chatmail-turn";
        StateDirectoryMode = "0750";
        # Each allocation takes two descriptors.
        LimitNOFILE = 8192 + 2 * (maxPort - minPort);
        # coturn logs each credential and each peer that it refuses. Operators need the faults, and those name no users.
        LogFilterPatterns = [
          "ERROR|WARNING|FATAL|[Cc]annot|chatmail-turn-config"
          "~user"
          "~([0-9]{1,3}\\.){3}[0-9]{1,3}"
          "~::|[0-9a-f]+:[0-9a-f]+:"
        ];
        # coturn drops privileges that it does not have. A refused call must fail, not kill it.
        SystemCallErrorNumber = "EPERM";
        # coturn lists the host's addresses with Netlink.
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_NETLINK"
          "AF_UNIX"
        ];
      };
    };

    users.${users.turn}.description = "chatmail TURN";
    # chatmail-accounts makes credentials with the secret.
    groups.${users.turn} = [ users.mail ];

    udp = {
      turn = {
        from = ports.turn;
        to = ports.turn;
      };
      turnRelay = {
        from = minPort;
        to = maxPort;
      };
    };
  }
