# Defines $chatmail_network, the client's network, for the surrounding context. Limits count networks: an IPv4 address, or an IPv6
# /64, which is what one household gets.
let
  # The text form of an IPv6 address (RFC 5952) has eight groups, or fewer groups and :: in place of zeros.
  group = "[0-9a-f]+";
  groups = count: "${group}(?::${group}){${count}}";
in
[
  {
    "map $remote_addr $chatmail_network" = [
      "default $remote_addr"
      # The four groups of the network are written out; or :: begins inside the network and reaches its end; or :: ends inside the
      # network, in two forms.
      "~^(?<chatmail_net4>${groups "3"}): $chatmail_net4"
      "~^(?<chatmail_net>.*)::(${groups "0,3"})?$ $chatmail_net"
      "~^(?<chatmail_net1>.*::${group}):${groups "3"}$ $chatmail_net1"
      "~^(?<chatmail_net2>.*::${groups "1"}):${groups "3"}$ $chatmail_net2"
    ];
  }
]
