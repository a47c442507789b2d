# Settings as the operator wrote them -> { settings: complete, problems: error messages for the operator }.
# Each setting that does not fit its declaration adds one message and falls back to its default, so that all faults are reported
# at once.
declarations: given:
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    hasAttr
    head
    isAttrs
    isBool
    isInt
    isString
    mapAttrs
    substring
    tail
    toJSON
    typeOf
    ;

  inherit (import ./kinds.nix) isIpv4 isLeaf kinds;

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
    else if isAttrs values && hasAttr (head path) values then
      lookup (tail path) values.${head path}
    else
      null;

  # The value and the problems of one leaf.
  checkLeaf =
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
        (checkLeaf {
          path = here;
          declaration = d;
        }).value
      else
        build here d
    ) tree;

  complete = build [ ] declarations;
  inherit (complete)
    accounts
    domain
    iroh
    mailbox
    message
    retention
    turn
    website
    ;
  wrongValues = concatLists (map (leaf: (checkLeaf leaf).problems) (leavesOf [ ] declarations));
  isLab = domain != null && substring 0 1 domain == "_";
  isAddress = domain != null && isIpv4 domain;
  addresses = complete.addresses // {
    ipv4 = if complete.addresses.ipv4 == null && isAddress then domain else complete.addresses.ipv4;
  };
  inherit (addresses) ipv4;
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

  # Settings that are right one by one, but not together.
  conflicts =
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
  problems = unknown [ ] declarations given ++ wrongValues ++ conflicts;
  settings = complete // {
    inherit addresses;
    certificate = complete.certificate // {
      inherit source;
    };
  };
}
