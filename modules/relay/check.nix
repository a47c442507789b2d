# Settings as the operator wrote them -> { settings: complete, problems: error messages for the operator }.
# Each setting that does not fit its declaration adds one message and falls back to its default, so that all faults are reported
# at once.
declarations: given:
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatStringsSep
    elem
    elemAt
    fromJSON
    hasAttr
    isAttrs
    isBool
    isInt
    isString
    map
    mapAttrs
    match
    stringLength
    substring
    toJSON
    typeOf
    ;

  isLeaf = d: d ? kind && isString d.kind;

  label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
  unit = {
    "" = 1;
    K = 1024;
    M = 1024 * 1024;
    G = 1024 * 1024 * 1024;
  };
  bytesOf = text: match "(0|[1-9][0-9]{0,11})([KMG]?)" text;

  isPath = v: isString v && match "/[A-Za-z0-9._/@+-]+" v != null;

  octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  isIpv4 = v: match "${octet}[.]${octet}[.]${octet}[.]${octet}" v != null;
  # "This host", loopback, multicast and reserved addresses (RFC 6890) cannot be reached from other hosts. Private addresses can,
  # within their network.
  isUnreachable = v: match "(0|127|22[4-9]|2[34][0-9]|25[0-5])[.].*" v != null;

  # For each kind: `fits` tests a value, `read` converts it, `wants` completes "must be ...", and `hint` explains this value's fault.
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
      fits = _: v: isInt v && v >= 1 && v <= 36500;
      wants = _: "a number of days from 1 to 36500";
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
      fits = _: v: isString v && match "[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:]*" v != null;
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

  dotted = path: concatStringsSep "." path;

  # -> list of { path, declaration } for every leaf
  leavesOf =
    path: tree:
    concatLists (
      map (
        name:
        let
          d = tree.${name};
          here = path ++ [ name ];
        in
        if isLeaf d then
          [
            {
              path = here;
              declaration = d;
            }
          ]
        else
          leavesOf here d
      ) (attrNames tree)
    );

  unknown =
    path: tree: values:
    concatLists (
      map (
        name:
        let
          here = path ++ [ name ];
        in
        if !hasAttr name tree then
          [
            "unknown setting `${dotted here}`; ${
              if path == [ ] then "the settings are" else "`${dotted path}` has"
            } ${concatStringsSep ", " (attrNames tree)}"
          ]
        else if isLeaf tree.${name} then
          [ ]
        else if !isAttrs values.${name} then
          [
            "`${dotted here}` is a group of settings (${concatStringsSep ", " (attrNames tree.${name})}), not ${
              show values.${name}
            }"
          ]
        else
          unknown here tree.${name} values.${name}
      ) (attrNames values)
    );

  show =
    v:
    if isString v || isInt v || isBool v || v == null then
      toJSON v
    else
      "a value of type ${typeOf v}";

  lookup =
    path: values:
    if path == [ ] then
      { value = values; }
    else if isAttrs values && hasAttr (builtins.head path) values then
      lookup (builtins.tail path) values.${builtins.head path}
    else
      null;

  judge =
    { path, declaration }:
    let
      found = lookup path given;
      k = kinds.${declaration.kind};
      optional = declaration ? default && declaration.default == null;
      ok = found.value == null && optional || found.value != null && k.fits declaration found.value;
      read = v: if v == null then null else (k.read or (x: x)) v;
      fallback = read (declaration.default or null);
    in
    if found == null then
      {
        value = fallback;
        problems =
          if declaration ? default then
            [ ]
          else
            [
              "`${dotted path}` is missing: set it to ${k.wants declaration}"
            ];
      }
    else if ok then
      {
        value = read found.value;
        problems = [ ];
      }
    else
      {
        value = fallback;
        problems = [
          "`${dotted path}` is ${show found.value}, but must be ${k.wants declaration}${(k.hint or (_: "")) found.value}"
        ];
      };

  build =
    path: tree:
    mapAttrs (
      name: d:
      let
        here = path ++ [ name ];
      in
      if isLeaf d then
        (judge {
          path = here;
          declaration = d;
        }).value
      else
        build here d
    ) tree;

  complete = build [ ] declarations;
  fits = concatLists (map (leaf: (judge leaf).problems) (leavesOf [ ] declarations));
  isLab = complete.domain != null && substring 0 1 complete.domain == "_";
  isAddress = complete.domain != null && isIpv4 complete.domain;
  addresses = complete.addresses // {
    ipv4 = if complete.addresses.ipv4 == null && isAddress then complete.domain else complete.addresses.ipv4;
  };
  source =
    if complete.certificate.source != null then
      complete.certificate.source
    else if isLab || isAddress then
      "self-signed"
    else
      "acme";
  isGiven =
    name:
    let
      found = lookup [
        "certificate"
        name
      ] given;
    in
    found != null && found.value != null;
  when = condition: sentence: if condition then [ sentence ] else [ ];
  inherit (addresses) ipv4;
  together =
    with complete;
    when (accounts.nameMinLength > accounts.nameMaxLength)
      "`accounts.nameMinLength` (${toString accounts.nameMinLength}) is above `accounts.nameMaxLength` (${toString accounts.nameMaxLength}), so no name is allowed: raise the latter"
    ++ when (2 * message.maxSize > mailbox.maxSize)
      "`message.maxSize` (${toString message.maxSize} bytes) is more than half of `mailbox.maxSize` (${toString mailbox.maxSize} bytes), so one message could fill the mailbox: raise the latter"
    ++ when (message.maxSize < 65536)
      "`message.maxSize` (${toString message.maxSize} bytes) is below 64K, too small even for a key exchange: raise it"
    ++ when (retention.largeMailDays > retention.mailDays)
      "`retention.largeMailDays` (${toString retention.largeMailDays}) is above `retention.mailDays` (${toString retention.mailDays}), but large messages must not be kept longer than others: lower it"
    ++ when (turn.minPort > turn.maxPort)
      "`turn.minPort` (${toString turn.minPort}) is above `turn.maxPort` (${toString turn.maxPort}): swap them"
    ++ when (turn.privateAddress != null && ipv4 == null)
      "`turn.privateAddress` is for a host behind NAT: also set `addresses.ipv4` to the public address"
    ++ when (iroh.enable && iroh.url != null)
      "`iroh.url` names an iroh-relay on another host, so `iroh.enable` would have no effect: remove one of them"
    ++ when (website.pages != null && website.root != null)
      "`website.root` replaces the whole website, so `website.pages` would have no effect: remove one of them"
    ++ when (source == "files" && !(isGiven "file" && isGiven "keyFile"))
      ''`certificate.source = "files"` needs both `certificate.file` and `certificate.keyFile`''
    ++ when (source != "files" && (isGiven "file" || isGiven "keyFile"))
      ''`certificate.file` and `certificate.keyFile` are used only with `certificate.source = "files"`: add that, or remove them''
    ++ when (source == "acme" && isLab)
      ''no ACME authority issues a certificate for `${domain}`: set `certificate.source = "self-signed"`, or remove the setting''
    ++ when (source != "self-signed" && isAddress)
      ''clients do not verify the certificate of a relay at an IP address: set `certificate.source = "self-signed"`, or remove the setting''
    ++ when (isAddress && ipv4 != domain)
      "`addresses.ipv4` (${ipv4}) differs from `domain` (${domain}), which is the address of the relay: remove `addresses.ipv4`";
in
{
  problems = unknown [ ] declarations given ++ fits ++ together;
  settings = complete // {
    inherit addresses;
    certificate = complete.certificate // {
      inherit source;
    };
  };
}
