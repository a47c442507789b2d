# How many requests one network may make: `http` declares it for that context, `new` and `delete` are for locations.
{ perMinute }:
let
  # The text form of an IPv6 address (RFC 5952) has eight groups, or fewer and :: for those that are zero.
  group = "[0-9a-f]+";
  groups = count: "${group}(?::${group}){${count}}";
  # The client shows the reason.
  limited = zone: burst: [
    "limit_req zone=${zone} burst=${toString burst} nodelay"
    "error_page 429 @too-many"
  ];
in
{
  http = [
    # Limits count networks: an IPv4 address, or the /64 that one household gets in IPv6.
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
    "limit_req_status 429"
    "limit_req_zone $chatmail_network zone=chatmail_new:4m rate=${toString perMinute}r/m"
    # Guessing a password here must be no easier than anywhere else.
    "limit_req_zone $chatmail_network zone=chatmail_delete:4m rate=10r/m"
  ];

  new = limited "chatmail_new" (3 * perMinute);
  delete = limited "chatmail_delete" 10;

  locations = [
    {
      "location @too-many" = [
        "default_type application/json"
        "add_header Retry-After 60 always"
        [
          "return"
          "429"
          "{\"reason\": \"Too many requests came from your network. Please try again in some minutes.\"}\n"
        ]
      ];
    }
  ];
}
