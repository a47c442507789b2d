# The client's network as $chatmail_network, in the context that this is put into. Limits count networks: an IPv4 address, or the
# /64 that one household gets in IPv6.
let
  # The text form of an IPv6 address (RFC 5952) has eight groups, or fewer and :: for those that are zero.
  group = "[0-9a-f]+";
  groups = count: "${group}(?::${group}){${count}}";
in
[
  {
    "map $remote_addr $chatmail_network" = [
      "default $remote_addr"
      # Four groups written out; fewer, since the zeros reach into the network; and the two forms in which they end in it.
      "~^(?<chatmail_net4>${groups "3"}): $chatmail_net4"
      "~^(?<chatmail_net>.*)::(${groups "0,3"})?$ $chatmail_net"
      "~^(?<chatmail_net1>.*::${group}):${groups "3"}$ $chatmail_net1"
      "~^(?<chatmail_net2>.*::${groups "1"}):${groups "3"}$ $chatmail_net2"
    ];
  }
]
