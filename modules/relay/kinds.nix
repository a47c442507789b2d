# Kinds of settings: which values fit, and how error messages describe them. settings.nix gives each setting its kind; check.nix
# and NixOS' options (modules/options.nix) use what is here.
let
  inherit (builtins)
    concatStringsSep
    elem
    elemAt
    filter
    fromJSON
    isBool
    isInt
    isString
    length
    map
    match
    split
    stringLength
    substring
    toJSON
    ;

  maxDays = 36500;
  daysFrom = d: d.min or 1;
  bytes = "(0|[1-9][0-9]{0,11})([KMG]?)";

  label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
  unit = {
    "" = 1;
    K = 1024;
    M = 1024 * 1024;
    G = 1024 * 1024 * 1024;
  };
  bytesOf = match bytes;

  isPath = v: isString v && match "/[A-Za-z0-9._/@+-]+" v != null;

  octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  isIpv4 = v: match "${octet}[.]${octet}[.]${octet}[.]${octet}" v != null;
  # Eight groups, or fewer where :: stands for zeros (RFC 5952).
  isIpv6 =
    v:
    let
      group = "[0-9a-f]{1,4}";
      some = "(${group}(:${group})*)?";
      groups = filter (x: isString x && x != "") (split ":" v);
    in
    match "${group}(:${group}){7}" v != null || match "${some}::${some}" v != null && length groups < 8;
  # "This host", loopback, multicast and reserved addresses (RFC 6890) cannot be reached from other hosts. Private addresses can,
  # within their network.
  isUnreachable = v: match "(0|127|22[4-9]|2[34][0-9]|25[0-5])[.].*" v != null;
in
{
  inherit
    bytes
    daysFrom
    isIpv4
    maxDays
    ;

  # A leaf of settings.nix has a kind; everything else is a group.
  isLeaf = d: isString (d.kind or null);

  # For each kind: `fits` tests a value, `read` converts it, `wants` completes "must be ...", and `hint` explains this value's
  # fault.
  kinds = {
    bool = {
      fits = _: isBool;
      wants = _: "true or false";
    };
    int = {
      fits = d: v: isInt v && v >= d.min && v <= d.max;
      wants = d: "a whole number from ${toString d.min} to ${toString d.max}";
    };
    days = {
      fits = d: v: isInt v && v >= daysFrom d && v <= maxDays;
      wants = d: "a number of days from ${toString (daysFrom d)} to ${toString maxDays}";
    };
    bytes = {
      fits = _: v: (isInt v && v >= 0) || (isString v && bytesOf v != null);
      read =
        v:
        if isInt v then
          v
        else
          let
            parts = bytesOf v;
          in
          # fromJSON, because toInt belongs to nixpkgs. JSON does not allow leading zeros, and a size does not have them either.
          fromJSON (elemAt parts 0) * unit.${elemAt parts 1};
      wants = _: ''a number of bytes, or one with K, M or G such as "500M"'';
    };
    enum = {
      fits = d: v: elem v d.values;
      wants = d: "one of ${concatStringsSep ", " (map toJSON d.values)}";
    };
    domain = {
      # A host name (RFC 1123), with an underscore allowed in front.
      fits =
        _: v:
        isString v
        && (
          isIpv4 v && !isUnreachable v
          || stringLength v <= 253 && match "_?${label}([.]${label})+" v != null && match ".*[.][0-9]+" v == null
        );
      wants = _: ''a domain name in lower case such as "chat.example.org", or an IPv4 address such as "192.0.2.1"'';
      hint =
        v:
        if !isString v then
          ""
        else if match "\\[?[0-9a-fA-F]*:[0-9a-fA-F:.]*]?" v != null then
          "; a relay cannot have an IPv6 address as its name"
        else if match "\\[.*]" v != null then
          "; write the address without brackets"
        else if isIpv4 v then
          "; that address is not reachable"
        else
          "";
    };
    mail = {
      fits = _: v: isString v && match "[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+" v != null;
      wants = _: ''a mail address such as "operator@example.org"'';
    };
    url = {
      fits = _: v: isString v && match "https?://[^[:space:]\"'\\]+" v != null;
      wants = _: ''a URL such as "https://example.org/"'';
    };
    ipv4 = {
      fits = _: v: isString v && isIpv4 v;
      wants = _: ''an IPv4 address such as "192.0.2.1"'';
    };
    ipv6 = {
      fits = _: v: isString v && isIpv6 v;
      wants = _: ''an IPv6 address in lower case such as "2001:db8::1"'';
    };
    path = {
      fits = _: v: isPath v && substring 0 11 v != "/nix/store/";
      wants =
        _:
        ''an absolute path outside the Nix store, written as a string such as "/var/lib/certificates/key.pem", because the store is read-only and every user of the host can read it'';
    };
    publicPath = {
      fits = _: isPath;
      wants = _: ''an absolute path such as "/srv/www"'';
    };
    text = {
      fits = _: isString;
      wants = _: "text";
    };
  };
}
