# Joins the parts of a relay to one record.
#
# A part is a file that takes `arguments` and returns a set with any of the keys below. Each name under a key belongs to one part:
# if two parts define it, the evaluation stops. `arguments` may contain the record itself, because Nix is lazy. Only the names
# that a part returns must not depend on the record.
arguments: paths:
let
  inherit (builtins)
    attrNames
    baseNameOf
    concatLists
    concatStringsSep
    elem
    filter
    listToAttrs
    zipAttrsWith
    ;
  once = import ./once.nix;

  # Each holds a set.
  sets = [
    # path -> { text; mode ? "0644"; }, owned by root
    "files"
    # name -> systemd unit: its sections, and `reads`, the paths in `files` that it reads when it starts
    "units"
    # name -> what is added to a unit of another package, in the same shape
    "dropins"
    # name -> { description; }: system users, each with a group of that name
    "users"
    # service -> TCP port that is open to everyone
    "ports"
    # service -> { from; to; }: UDP ports that are open to everyone
    "udp"
    # kernel parameter -> the least value that the relay needs
    "sysctl"

    # Configuration of other daemons, in the shape of NixOS' options for them.
    "postfix"
    "dovecot"
    "nginx"
    "unbound"
    # journald.conf(5), section [Journal]; resolv.conf(5), keyword -> value.
    "journal"
    "resolver"
    # Prometheus: `scrapeConfig` and `rules`.
    "prometheus"
    # What an ACME client obtains: `domain`, `extraDomainNames`, and the `webroot` for its answers.
    "acme"

    # The website: nginx location -> directives, response header -> value, nginx `map` -> its lines.
    "locations"
    "headers"
    "maps"

    # Sections of chatmaild.json, and its section `metadata`, which clients can read.
    "chatmaild"
    "metadata"
    # Limits of one mailbox.
    "mailbox"
    # `records` of the zone, and `dkim` keys.
    "dns"
  ];
  # Lists by name; several parts may add to one list.
  lists = [
    # group -> users that become its members
    "groups"
  ];
  known = sets ++ lists ++ [ "problems" ];

  part =
    path:
    let
      from = baseNameOf path;
      made = import path arguments;
      unknown = filter (key: !elem key known) (attrNames made);
    in
    if unknown == [ ] then
      { inherit from made; }
    else
      throw "${from} returns `${concatStringsSep "`, `" unknown}`, which join.nix does not list";
  parts = map part paths;

  keyed =
    keys: valueOf:
    listToAttrs (
      map (name: {
        inherit name;
        value = valueOf name;
      }) keys
    );
in
keyed sets (
  key:
  once key (
    map (
      { from, made }:
      {
        inherit from;
        set = made.${key} or { };
      }
    ) parts
  )
)
// keyed lists (
  key: zipAttrsWith (_: concatLists) (map ({ made, ... }: made.${key} or { }) parts)
)
// {
  # Error messages for the operator.
  problems = concatLists (map ({ made, ... }: made.problems or [ ]) parts);
}
