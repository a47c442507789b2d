# Prints merged settings as NixOS' modules do, in the same order and spelling, so that the real daemons can read them
# (test_printed.py). See nixos/modules/services: mail/postfix.nix, mail/dovecot.nix, web-servers/nginx/default.nix,
# networking/unbound.nix.
{ lib }:
let
  inherit (builtins) isAttrs isBool isList;

  word = v: if isBool v then (if v then "yes" else "no") else toString v;
  given = lib.filterAttrs (_: v: v != null);
  text = lines: lib.concatMapStrings (line: "${line}\n") lines;
in
{
  # A list prints one item per line; an empty list prints an empty line.
  postfixMain =
    settings:
    let
      value = v: if isList v then "\n  ${lib.concatStringsSep ",\n  " v}" else " ${word v}";
    in
    text (lib.mapAttrsToList (name: v: "${name} =${value v}") (given settings));

  # Columns without a value print as "-"; each argument that begins with "-" starts a new line.
  postfixMaster =
    services:
    let
      flag = v: if v == null then "-" else if v then "y" else "n";
      argument = a: "${lib.optionalString (lib.hasPrefix "-" a) "\n  "}${a}";
      number = v: if v == null then "-" else toString v;
      isLazy = s: s.wakeup != null && s.wakeupUnusedComponent == false;
      wakeup = s: "${number s.wakeup}${lib.optionalString (isLazy s) "?"}";
      line =
        s:
        lib.concatStringsSep "  " [
          s.name
          s.type
          (flag s.private)
          (flag (if s.privileged == null then null else !s.privileged))
          (flag s.chroot)
          (wakeup s)
          (number s.maxproc)
          "${s.command} ${lib.concatMapStringsSep " " argument s.args}"
        ];
    in
    text (map line (lib.attrValues services));

  # First the two versions; then on each level all scalars, followed by all blocks, both in alphabetical order.
  dovecot =
    settings:
    let
      versions = [
        "dovecot_config_version"
        "dovecot_storage_version"
      ];
      scalars =
        indent: key: v:
        let
          words = lib.filter (w: !isAttrs w) (lib.toList v);
        in
        lib.optional (words != [ ]) "${indent}${key} = ${lib.concatMapStringsSep " " word words}";
      blocks = indent: key: v: map (block indent key) (lib.filter isAttrs (lib.toList v));
      block =
        indent: key: tree:
        let
          section = tree._section or { name = null; };
          isListItem = lib.hasPrefix "[definition " (section.type or "");
          # A key "kind name" has both; an item of a list has the list's key and its own name.
          head = if isListItem && section.name != null then "${key} ${section.name}" else key;
        in
        lib.concatStringsSep "\n" (
          [ "${indent}${head} {" ]
          ++ level "${indent}  " (removeAttrs tree [ "_section" ])
          ++ [ "${indent}}" ]
        );
      level =
        indent: tree:
        lib.concatLists (lib.mapAttrsToList (scalars indent) (given tree))
        ++ lib.concatLists (lib.mapAttrsToList (blocks indent) (given tree));
    in
    text (
      map (key: "${key} = ${settings.${key}}") versions ++ level "" (removeAttrs settings versions)
    );

  # The module writes the text around ours.
  nginx = services: ''
    pid /run/nginx-printed.pid;
    error_log ${services.logError};
    daemon off;
    events {
    ${services.eventsConfig}
    }
    http {
      types_hash_max_size 2688;
      default_type application/octet-stream;
      ssl_protocols TLSv1.2 TLSv1.3;
      map $http_upgrade $connection_upgrade {
        default upgrade;
        "" close;
      }
      client_max_body_size 10m;
      server_tokens off;
      ${services.commonHttpConfig}
      # Another website of the operator, in front of ours.
      server {
        ${lib.concatMapStrings (
          l:
          "listen ${l.addr}:${toString l.port} ${lib.optionalString l.ssl "ssl "}${
            lib.optionalString l.proxyProtocol "proxy_protocol "
          };\n"
        ) services.defaultListen}
        http2 on;
        server_name blog.example.org;
        ssl_certificate /tmp/printed/certificate.pem;
        ssl_certificate_key /tmp/printed/key.pem;
        root /srv/blog;
      }
      ${services.appendHttpConfig}
    }
    stream {
    ${services.streamConfig}
    }
    ${services.appendConfig}
  '';

  unbound =
    settings:
    let
      option =
        indent: name: v:
        if isList v then
          lib.concatMap (option indent name) v
        else if isAttrs v then
          [ "${indent}${name}:" ] ++ lib.concatLists (lib.mapAttrsToList (option "${indent}  ") v)
        else
          [ "${indent}${name}: ${word v}" ];
    in
    text (lib.concatLists (lib.mapAttrsToList (option "") settings));
}
