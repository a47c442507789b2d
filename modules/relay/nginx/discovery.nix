# What others look up about the relay over HTTP: clients its ports (autoconfig), other relays its MX (MTA-STS).
{ names }:
let
  inherit (names) host mailDomain ports;
  inherit (names.files) www;
  file = path: type: [
    "alias ${path}"
    { types = [ ]; }
    "default_type ${type}"
  ];
  # core reads type, hostname, port, socketType and username (WIRE contract 2.6).
  server = kind: port: socketType: ''
    <${if kind == "smtp" then "outgoingServer" else "incomingServer"} type="${kind}">
      <hostname>${host}</hostname>
      <port>${toString port}</port>
      <socketType>${socketType}</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </${if kind == "smtp" then "outgoingServer" else "incomingServer"}>
  '';
in
rec {
  # RFC 8461 section 3.2; the policy's id in the DNS (../dns.nix) follows from this text.
  mtaStsPolicy = ''
    version: STSv1
    mode: enforce
    mx: ${host}
    max_age: 2419200
  '';

  files = {
    ${if names.isAddress then null else "${www}/mta-sts.txt"}.text = mtaStsPolicy;
    "${www}/config-v1.1.xml".text = ''
      <?xml version="1.0" encoding="UTF-8"?>
      <clientConfig version="1.1">
      <emailProvider id="${mailDomain}">
      <domain>${mailDomain}</domain>
      <displayName>${mailDomain} chatmail</displayName>
      <displayShortName>${mailDomain}</displayShortName>
      ${server "imap" ports.imaps "SSL"}${server "imap" ports.imap "STARTTLS"}${
        server "imap" ports.https "SSL"
      }${server "smtp" ports.submissions "SSL"}${server "smtp" ports.submission "STARTTLS"}${
        server "smtp" ports.https "SSL"
      }</emailProvider>
      </clientConfig>
    '';
  };

  locations =
    (
      if names.isAddress then
        [ ]
      else
        [ { "location = /.well-known/mta-sts.txt" = file "${www}/mta-sts.txt" "text/plain"; } ]
    )
    ++ [
      {
        "location = /.well-known/autoconfig/mail/config-v1.1.xml" =
          file "${www}/config-v1.1.xml" "text/xml";
      }
    ];
}
