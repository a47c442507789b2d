# chatmaild.json: the only configuration file of our daemons, read by chatmaild.config. This part has the settings that concern
# the whole relay. Optional parts of the relay add their own sections.
{
  settings,
  platform,
  names,
  relay,
  ...
}:
let
  inherit (builtins)
    attrNames
    filter
    lessThan
    sort
    toJSON
    ;
  inherit (names) files sockets;
  inherit (relay) units;
in
{
  files.${files.config}.text = "${toJSON relay.chatmaild}\n";

  metadata = { inherit (settings) appVersions; };

  chatmaild = {
    inherit (names) host;
    domain = names.mailDomain;
    inherit (settings)
      registration
      sending
      incoming
      admission
      addresses
      push
      retention
      privacy
      ;
    mailbox = settings.mailbox // relay.mailbox;
    # nginx enforces the limit per network.
    accounts = removeAttrs settings.accounts [ "perNetworkPerMinute" ];
    message = { inherit (settings.message) maxSize; };
    https = { inherit (names.proxied) smtp; };
    # Where `chatmail status` looks at TLS.
    ports = {
      inherit (names.ports)
        smtp
        submissions
        imaps
        https
        ;
    };
    certificate = { inherit (settings.certificate) source; };
    inherit (relay) metadata;
    website = {
      inherit (files) site;
      inherit (settings.website) pages;
    };
    inherit (relay.dns) dkim;
    dns = relay.dns.records;
    # The units that `chatmail status` checks: everything that starts at boot, except sockets whose service is in the list.
    units =
      let
        atBoot = name: units ? ${name}.Install;
        listed = name: atBoot name && !atBoot (units.${name}.Socket.Service or "");
      in
      sort lessThan (filter listed (attrNames units) ++ attrNames relay.dropins);
    paths = {
      inherit (files)
        accountBook
        mailboxes
        certificate
        certificateKey
        nocreate
        handoverName
        stsPolicies
        revoked
        exceptions
        arrivals
        expiryHold
        lastNight
        ;
      authorities = platform.caBundle;
      filterSocket = sockets.filter;
      grantSocket = sockets.grant;
      dictSocket = sockets.dict;
      registrarSocket = sockets.registrar;
      controlSocket = sockets.control;
      doveadmSocket = sockets.doveadm;
      webSocket = sockets.web;
      tlsPolicySocket = sockets.tlsPolicy;
      saslSocket = sockets.sasl;
      lmtpSocket = sockets.lmtp;
    };
  };
}
