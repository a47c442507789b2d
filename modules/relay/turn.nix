# STUN and TURN for calls: coturn as a unit of its own, so that a coturn that the host runs for something else stays what it is.
# Credentials are made per request by chatmail-accounts (METADATA, WIRE contract 2.3) with a secret that both read from a file.
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

  # What no peer of a call can be (IANA's special-purpose registries, RFC 6890): without this a stranger with a new address
  # could reach the host itself and what is behind it through the relay.
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
    # All but global unicast (2000::/3, RFC 4291 2.4), and what is special in there. Not from `::`: coturn takes that for "whatever
    # there is", all of IPv4 included.
    "::1-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"
    "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
    "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    "3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"
    "4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
  ];

  # turnserver(1). A list is one line per element, true is the bare name.
  config = {
    listening-port = ports.turn;
    min-port = minPort;
    max-port = maxPort;
    realm = names.host;
    use-auth-secret = true;
    fingerprint = true;
    no-cli = true;
    # Clients are told of UDP alone, and peers are reached by nothing else.
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
    # Bytes per second of one allocation: video takes up to three megabits. Not bps-capacity, which coturn divides by this:
    # a hundred megabits would be twenty allocations, used or not.
    max-bps = 625000;
    # No file, no rollover.
    log-file = "stdout";
    simple-log = true;
    pidfile = "";
    # The database of users, which has none.
    userdb = "${platform.runtime}/chatmail-turn/users";
    denied-peer-ip = denied;
    allowed-peer-ip = platform.turn.allowedPeers;
    # In pairs, for a single address would be told in place of an IPv6 one too.
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
      # It listens on the addresses that there are when it starts.
      order = {
        After = [ "network-online.target" ];
        Wants = [ "network-online.target" ];
      };
      # chatmail-turn-config also reads chatmaild.json, but takes only paths from it, which no setting changes. So other settings
      # do not end calls.
      reads = [ files.turnConfig ];
      service = unit.reaches.internet // {
        # Nothing that it relays to or asks is on loopback.
        IPAddressDeny = "localhost";
        Type = "notify";
        # The secret is in no file that anybody else reads, nor in a command line.
        ExecStartPre = unit.run "chatmail-turn-config";
        ExecStart = "${platform.programs.turnserver} -c ${files.turnServer}";
        User = users.turn;
        RuntimeDirectory = "chatmail-turn";
        RuntimeDirectoryMode = "0700";
        StateDirectory = "chatmail-turn";
        StateDirectoryMode = "0750";
        # Two descriptors for each allocation.
        LimitNOFILE = 8192 + 2 * (maxPort - minPort);
        # It logs each credential and each peer that it refuses. What an operator needs are faults, and those name nobody.
        LogFilterPatterns = [
          "ERROR|WARNING|FATAL|[Cc]annot|chatmail-turn-config"
          "~user"
          "~([0-9]{1,3}\\.){3}[0-9]{1,3}"
          "~::|[0-9a-f]+:[0-9a-f]+:"
        ];
        # It drops rights that it does not have, and may be told that it cannot.
        SystemCallErrorNumber = "EPERM";
        # Netlink tells it which addresses there are.
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
