# The text of chatmail.txt -> { given; settings; sshKeys; problems }. Plain Nix without nixpkgs, so that even a Pi with 512 MB
# checks a text within a second, before anything is changed. The rules are those of services.chatmail.
text:
let
  inherit (builtins)
    all
    concatLists
    elemAt
    filter
    foldl'
    fromJSON
    genList
    head
    isAttrs
    isString
    length
    map
    match
    replaceStrings
    split
    tail
    ;

  byteOrderMark = fromJSON ''"\ufeff"'';
  # Editors on Windows end lines with CR LF and may begin the file with a byte order mark.
  without = what: replaceStrings [ what ] [ "" ];
  lines = filter isString (split "\n" (without "\r" (without byteOrderMark text)));

  blank = "[[:space:]]*";
  isComment = line: match "${blank}(#.*)?" line != null;
  # -> [ name value ], or null
  partsOf = match "${blank}([A-Za-z][A-Za-z0-9.-]*)${blank}=${blank}(.*[^[:space:]])${blank}";

  entry =
    number:
    let
      line = elemAt lines number;
      parts = partsOf line;
    in
    if isComment line then
      null
    else if parts == null then
      { problem = "line ${toString (number + 1)} must have the form `name = value`"; }
    else
      {
        name = elemAt parts 0;
        value = elemAt parts 1;
      };
  entries = filter (e: e != null) (genList entry (length lines));
  pairs = filter (e: e ? name) entries;
  valuesOf = name: map (p: p.value) (filter (p: p.name == name) pairs);

  typed =
    value:
    if value == "true" || value == "false" || match "0|[1-9][0-9]{0,14}" value != null then
      fromJSON value
    else
      value;

  put =
    path: value: set:
    let
      name = head path;
      # `domain.x = 1` after `domain = …` is reported below, by the rules of the settings.
      inner = if isAttrs (set.${name} or null) then set.${name} else { };
    in
    set // { ${name} = if length path == 1 then value else put (tail path) value inner; };
  own = filter (p: p.name != "contact" && p.name != "ssh-key") pairs;
  words = name: filter isString (split "[.]" name);

  contacts = valuesOf "contact";
  sshKeys = valuesOf "ssh-key";
  fromContact = contact: {
    certificate.email = contact;
    privacy.mail = contact;
  };
  settings = foldl' (set: p: put (words p.name) (typed p.value) set) (
    if contacts == [ ] then { } else fromContact (head contacts)
  ) own;

  relay = ../../modules/relay;
  checked = import (relay + "/check.nix") (import (relay + "/settings.nix")) settings;

  when = condition: sentence: if condition then [ sentence ] else [ ];
  once =
    name:
    let
      times = length (valuesOf name);
    in
    when (times > 1) "`${name}` is given ${toString times} times: remove all but one";

  # authorized_keys(5), without options.
  keyType = "(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9@.-]+)";
  isKey = key: match "${keyType} [A-Za-z0-9+/=]{60,}( .*)?" key != null;
in
{
  given = entries != [ ];
  inherit settings sshKeys;
  problems =
    if entries == [ ] then
      [ ]
    else
      map (e: e.problem) (filter (e: e ? problem) entries)
      ++ concatLists (
        map once [
          "domain"
          "contact"
        ]
      )
      ++ checked.problems
      ++
        when (contacts == [ ] && checked.settings.certificate.source == "acme")
          "`contact` is missing: set it to your mail address, such as you@example.net"
      ++
        when (sshKeys == [ ])
          "`ssh-key` is missing, so you could not log in: set it to the line in ~/.ssh/id_ed25519.pub"
      ++
        when (!all isKey sshKeys)
          "`ssh-key` must be one whole line of a public key, such as: ssh-ed25519 AAAA… you@laptop";
}
