# Names, ports, sockets, files and users of a relay. Each is defined here only; what differs between systems comes from the
# platform.
{ settings, platform }:
let
  inherit (platform) etc state runtime;
in
rec {
  # Clients and servers connect to this: a name in the DNS, or an IPv4 address. Certificate and URLs contain it.
  host = settings.domain;
  isAddress = builtins.match "[0-9.]+" host != null;
  # The part of mail addresses after the @. An IP address is in brackets there (RFC 5321 4.1.3).
  mailDomain = if isAddress then "[${host}]" else host;

  # Public ports (docs/wire.md, "Ports").
  ports = {
    smtp = 25;
    http = 80;
    imap = 143;
    https = 443;
    submissions = 465;
    submission = 587;
    imaps = 993;
    turn = 3478;
  };

  # On loopback: port 443 forwards connections to these with the PROXY protocol, so that limits see the client's address.
  proxied = {
    submissions = 10465;
    https = 10443;
    imaps = 10993;
    # For mail that arrives over HTTPS.
    smtp = 10025;
  };

  # On loopback, behind nginx, which does not pass on the client's address.
  local = {
    # Postfix writes the address of the client into the queue file of each message, and no setting stops it. So Postfix does not
    # learn the addresses of users.
    submissions = 20465;
    submission = 20587;
    # The default of iroh-relay since its first release.
    iroh = 3340;
  };

  users = {
    filter = "chatmail-filter";
    web = "chatmail-web";
    tls = "chatmail-tls";
    mail = "vmail";
    turn = "chatmail-turn";
    iroh = "chatmail-iroh";
    echo = "chatmail-echo";
    metrics = "chatmail-metrics";
    certificate = "chatmail-certificate";
  };

  # Dovecot's sockets for Postfix, in Dovecot's runtime directory.
  listeners = {
    sasl = "postfix-sasl";
    lmtp = "postfix-lmtp";
    # For chatmail-accounts.
    doveadm = "chatmail-doveadm";
  };

  sockets = {
    filter = "${runtime}/chatmail-filter/filter.sock";
    grant = "${runtime}/chatmail-accounts/grant.sock";
    dict = "${runtime}/chatmail-accounts/dict.sock";
    registrar = "${runtime}/chatmail-accounts/registrar.sock";
    control = "${runtime}/chatmail-accounts/control.sock";
    # For chatmail-metrics: the counters of the daemons.
    numbers = "${runtime}/chatmail-accounts/numbers.sock";
    filterNumbers = "${runtime}/chatmail-filter/numbers.sock";
    echo = "${runtime}/chatmail-accounts/echo.sock";
    doveadm = "${platform.dovecot.runtime}/${listeners.doveadm}";
    web = "${runtime}/chatmail-web/web.sock";
    trim = "${runtime}/chatmail-trim/trim.sock";
    tlsPolicy = "${runtime}/chatmail-tls/policy.sock";
    sasl = "${platform.dovecot.runtime}/${listeners.sasl}";
    lmtp = "${platform.dovecot.runtime}/${listeners.lmtp}";
  };

  files = {
    config = "${etc}/chatmaild.json";
    accountBook = "${state}/chatmail/accounts.sqlite";
    mailboxes = "${state}/chatmail/mail";
    dkimKeys = "${state}/chatmail-filter";
    # What the nightly run did, and until when it spares mail after the relay was away.
    lastNight = "${state}/chatmail/last-night.json";
    expiryHold = "${state}/chatmail/expiry-hold.json";
    # Beside the account book, because /etc may be read-only.
    nocreate = "${state}/chatmail/nocreate";
    revoked = "${runtime}/chatmail-revoked";
    exceptions = "${runtime}/chatmail-exceptions";
    arrivals = "${runtime}/chatmail-push/arrivals";
    senderLogin = "${etc}/sender-login.regexp";
    senderLoginNeeded = "${etc}/sender-login-needed.regexp";
    localTransport = "${etc}/local-transport.regexp";
    failedServer = "${etc}/failed-server.regexp";
    clientNames = "${etc}/client-names.regexp";
    deliveredFields = "${etc}/delivered-fields.regexp";
    tlsPolicy = "${etc}/tls-policy.regexp";
    # How chatmail-web introduces itself to Postfix (chatmaild.web.handover).
    handoverName = "${state}/chatmail-web/helo";
    stsPolicies = "${state}/chatmail-tls/sts-policies.sqlite";
    postfixTls = "${etc}/postfix-tls.cnf";
    # nginx opens these for each request.
    mtaStsPolicy = "${etc}/www/mta-sts.txt";
    autoconfig = "${etc}/www/config-v1.1.xml";
    site = "${state}/chatmail-website";
    turnConfig = "${etc}/turnserver.conf";
    turnServer = "${runtime}/chatmail-turn/turnserver.conf";
    turnSecret = "${state}/chatmail-turn/secret";
    irohConfig = "${etc}/iroh-relay.toml";
    echoState = "${state}/chatmail-echo";
    echoInvite = "${runtime}/chatmail-echo/invite";
  }
  // (
    {
      acme = {
        certificate = platform.acme.certificate host;
        certificateKey = platform.acme.key host;
      };
      files = {
        certificate = settings.certificate.file;
        certificateKey = settings.certificate.keyFile;
      };
      self-signed = {
        certificate = "${state}/chatmail-certificate/fullchain.pem";
        certificateKey = "${state}/chatmail-certificate/key.pem";
      };
    }
    .${settings.certificate.source}
  );
}
