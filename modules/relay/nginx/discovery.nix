# Files that describe the relay over HTTP: its ports for clients (autoconfig), and its MX for other relays (MTA-STS).
{ names, ... }:
let
  inherit (names) host mailDomain ports;
  inherit (names.files) mtaStsPolicy autoconfig;
  file = path: type: [
    "alias ${path}"
    { types = [ ]; }
    "default_type ${type}"
  ];
  # core reads type, hostname, port, socketType and username (docs/wire.md, "Autoconfig").
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
{
  files = {
    # RFC 8461 3.2. The policy's id in the DNS (../dns.nix) is a hash of this text.
    ${if names.isAddress then null else mtaStsPolicy}.text = ''
      version: STSv1
      mode: enforce
      mx: ${host}
      max_age: 2419200
    '';
    ${autoconfig}.text = ''
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

  locations = {
    ${if names.isAddress then null else "= /.well-known/mta-sts.txt"} =
      file mtaStsPolicy "text/plain";
    "= /.well-known/autoconfig/mail/config-v1.1.xml" = file autoconfig "text/xml";
  };
}
