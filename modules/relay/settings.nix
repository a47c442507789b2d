# Every setting of a relay, once: its kind, its default and what it does for the operator. `services.chatmail.*` and the
# option reference are made from this file, check.nix refuses what does not fit it.
#
# A leaf is a set with `kind`; everything else is a group. Kinds (check.nix knows them):
#   bool  int{min,max}  bytes (a number, or "500M": K, M, G are powers of 1024)  days  enum{values}
#   domain (or an IPv4 address)  mail  url  ipv4  ipv6  text
#   path (absolute; not in the Nix store, since it is a secret or changes)  publicPath (absolute, may be in the store)
# `default = null` makes a setting optional. A leaf without `default` must be given.
{
  domain = {
    kind = "domain";
    example = "chat.example.org";
    meaning = ''
      The domain of the relay: the part after the @ of every address, the name of the host and of its certificate.
      A domain that starts with `_` is a relay for a lab or a private network: clients do not verify its certificate.
      An IPv4 address, written without brackets, is a relay without a domain, whose addresses read `name@[192.0.2.1]`.
    '';
  };

  registration = {
    kind = "enum";
    values = [
      "open"
      "invite"
      "closed"
    ];
    default = "open";
    meaning = ''
      Who gets a new address: everyone at first login (`open`), whoever has an invite made by `chatmail invites add`
      (`invite`), or nobody (`closed`). Existing addresses go on working. `chatmail registration stop` closes it at once,
      whatever is written here.
    '';
  };

  accounts = {
    nameMinLength = {
      kind = "int";
      min = 1;
      max = 60;
      default = 9;
      meaning = "Shortest part before the @ that a new address may have.";
    };
    nameMaxLength = {
      kind = "int";
      min = 1;
      max = 60;
      default = 9;
      meaning = "Longest part before the @ that a new address may have; addresses made by `/new` have this length.";
    };
    passwordMinLength = {
      kind = "int";
      min = 1;
      max = 60;
      default = 9;
      meaning = "Shortest password that a new address may have.";
    };
    perNetworkPerMinute = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 10;
      meaning = ''
        New addresses that `/new` gives to one network (an IPv4 address, or an IPv6 /64) per minute, averaged; three times
        as many at once, for a class or a party behind one address.
      '';
    };
    maxPerHour = {
      kind = "int";
      min = 0;
      max = 1000000;
      default = 1000;
      meaning = ''
        New accounts on the whole relay per hour. Whoever makes accounts by logging in may come from many networks; without
        this limit the accounts fill the disk, and the relay takes nobody for months, until they have been idle long
        enough. 0 switches it off.
      '';
    };
    graceDays = {
      kind = "int";
      min = 0;
      max = 36500;
      default = 90;
      meaning = "Days for which nobody else gets an address that was deleted.";
    };
  };

  sending = {
    perMinute = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 60;
      meaning = "Messages that one account may send per minute, averaged. Above it the client is told to try again later.";
    };
    burst = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 10;
      meaning = "Messages that one account may send at once before `sending.perMinute` counts.";
    };
    maxRecipients = {
      kind = "int";
      min = 1;
      max = 10000;
      default = 1000;
      meaning = "Recipients that one message may have.";
    };
  };

  message.maxSize = {
    kind = "bytes";
    default = 31457280;
    example = "30M";
    meaning = "Largest message accepted, as it travels (attachments grow by a third on the way).";
  };

  mailbox.maxSize = {
    kind = "bytes";
    default = "500M";
    meaning = "Storage of one account. A mailbox never runs full: at three quarters its oldest mail goes.";
  };

  incoming.cleartext = {
    kind = "bool";
    default = true;
    meaning = ''
      Whether mail that is not end-to-end encrypted may come in from other servers (newsletters, sign-up mails).
      `chatmail accounts cleartext` chooses otherwise for one account. Outgoing mail is always encrypted, whatever is written
      here.
    '';
  };

  certificate = {
    source = {
      kind = "enum";
      values = [
        "acme"
        "files"
        "self-signed"
      ];
      default = null;
      meaning = ''
        Where the TLS certificate comes from: an ACME authority, two files of yours, or made by the relay itself.
        Left out, it is `self-signed` for a domain that starts with `_` and for an address, and `acme` for all others.
      '';
    };
    email = {
      kind = "mail";
      default = null;
      example = "operator@example.org";
      meaning = ''
        Address that the ACME authority may write to about the certificate.
        Giving it accepts the authority's terms of service on your behalf.
      '';
    };
    file = {
      kind = "path";
      default = null;
      example = "/var/lib/certificates/fullchain.pem";
      meaning = "With `files`: the certificate followed by its chain, PEM.";
    };
    keyFile = {
      kind = "path";
      default = null;
      example = "/var/lib/certificates/key.pem";
      meaning = "With `files`: the private key, PEM. Clients remember it: keep it when you renew.";
    };
  };

  connections = {
    imap = {
      kind = "int";
      min = 10;
      max = 1000000;
      default = 10000;
      meaning = "IMAP connections at once, all accounts together. An idle one costs about 0.12 MB.";
    };
    smtp = {
      kind = "int";
      min = 10;
      max = 100000;
      default = 1000;
      meaning = "SMTP connections at once to each service: submission with STARTTLS, with TLS from the start, port 25, and mail over HTTPS.";
    };
    perAddress = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 50;
      meaning = ''
        SMTP connections at once of other servers from one network address, of people from one network (an IPv4 address, a /64 in
        IPv6), and IMAP connections of one account from one network address.
      '';
    };
  };

  admission = {
    maxLoad = {
      kind = "int";
      min = 0;
      max = 1000;
      default = 5;
      meaning = "No new addresses while the 1-minute load average is above this. 0 switches the limit off.";
    };
    minAvailableMemory = {
      kind = "bytes";
      default = "200M";
      meaning = "No new addresses while less memory than this is available. 0 switches the limit off.";
    };
    minFreeDisk = {
      kind = "bytes";
      default = "1G";
      meaning = "No new addresses while the disk of the mailboxes has less room than this. 0 switches the limit off.";
    };
  };

  retention = {
    mailDays = {
      kind = "days";
      default = 20;
      meaning = "Days after which a message is deleted, read or not.";
    };
    largeMailDays = {
      kind = "days";
      default = 7;
      meaning = "Days after which a large message is deleted.";
    };
    largeMailSize = {
      kind = "bytes";
      default = 200000;
      meaning = "Size from which a message counts as large.";
    };
    idleAccountDays = {
      kind = "days";
      default = 90;
      meaning = "Days without a login after which an account and everything of it is deleted.";
    };
  };

  privacy = {
    mail = {
      kind = "mail";
      default = null;
      meaning = "Address for questions about privacy; clients show it as the contact of the relay.";
    };
    postal = {
      kind = "text";
      default = null;
      meaning = "Postal address of whoever runs the relay, for the privacy page.";
    };
    officer = {
      kind = "text";
      default = null;
      meaning = "Contact of the privacy officer, for the privacy page.";
    };
    supervisor = {
      kind = "text";
      default = null;
      meaning = "The supervising authority, for the privacy page.";
    };
  };

  push = {
    enable = {
      kind = "bool";
      default = true;
      meaning = "Whether clients may leave device tokens, so that a new message wakes a sleeping phone.";
    };
    proxy = {
      kind = "url";
      default = "https://notifications.delta.chat/notify";
      meaning = "The push proxy that is told a token, and nothing else, for each new message.";
    };
  };

  turn = {
    enable = {
      kind = "bool";
      default = true;
      meaning = "Whether the relay helps calls through firewalls (STUN and TURN).";
    };
    minPort = {
      kind = "int";
      min = 1024;
      max = 65535;
      default = 49152;
      meaning = "First UDP port used for calls; the firewall opens the range.";
    };
    maxPort = {
      kind = "int";
      min = 1024;
      max = 65535;
      default = 50151;
      meaning = "Last UDP port used for calls.";
    };
    privateAddress = {
      kind = "ipv4";
      default = null;
      example = "192.168.1.10";
      meaning = ''
        The host's own IPv4 address when it is behind NAT and has `addresses.ipv4` only outside. The router must pass on UDP
        port 3478 and the ports for calls as they are.
      '';
    };
  };

  iroh = {
    enable = {
      kind = "bool";
      default = false;
      meaning = ''
        Whether the relay carries the realtime channels of apps inside chats, with iroh-relay 0.35. Without it clients use the
        public relays of iroh's makers.
      '';
    };
    url = {
      kind = "url";
      default = null;
      example = "https://iroh.example.org";
      meaning = "Another host's iroh-relay that clients are told to use, instead of an own one.";
    };
  };

  appVersions = {
    kind = "publicPath";
    default = null;
    example = "/var/lib/chatmail/app-versions.json";
    meaning = ''
      A JSON file with the newest versions of apps and where to get them, for clients that no app store updates. It is read
      anew when it changes.
    '';
  };

  website = {
    pages = {
      kind = "publicPath";
      default = null;
      example = "/etc/chatmail-pages";
      meaning = ''
        A directory of Markdown files in a folder per language (`en/privacy.md`) that replace pages of the website or add to
        them; not below /home, and on NixOS also `./pages` beside your configuration. `chatmail-website` renders them at boot,
        and when it is started.
      '';
    };
    root = {
      kind = "publicPath";
      default = null;
      example = "/srv/www";
      meaning = "A directory with a ready website (`index.html`) that is served in place of the relay's own.";
    };
  };

  metrics = {
    enable = {
      kind = "bool";
      default = false;
      meaning = ''
        Whether the relay tells Prometheus what it does, in numbers without names, at `/metrics` on loopback. A Prometheus on
        the same host scrapes it by itself; `relay.prometheus` has a scrape configuration and alerts for one elsewhere.
      '';
    };
    port = {
      kind = "int";
      min = 1024;
      max = 65535;
      default = 3903;
      meaning = "Port for that on 127.0.0.1.";
    };
  };

  echo.enable = {
    kind = "bool";
    default = false;
    meaning = ''
      Whether an account named `echo` answers everyone, to try a new address with. It needs no open registration, and nobody else
      gets that name.
    '';
  };

  reports.mail = {
    kind = "mail";
    default = null;
    example = "reports@example.org";
    meaning = ''
      Address to which other servers may send reports about mail that did not reach the relay over TLS (TLSRPT). It stands in
      the DNS records. Left out, it is `privacy.mail`; without either no reports are asked for.
    '';
  };

  dkim.ed25519 = {
    kind = "bool";
    default = false;
    meaning = ''
      Sign mail with an Ed25519 key (RFC 8463) beside the RSA-2048 key that every server can verify. `chatmail dns` then has one
      more record. Publish it first: a signature whose key cannot be found helps nobody.
    '';
  };

  addresses = {
    ipv4 = {
      kind = "ipv4";
      default = null;
      example = "192.0.2.1";
      meaning = "Public IPv4 address, for the DNS records. Left out, `chatmail dns` takes the host's own.";
    };
    ipv6 = {
      kind = "ipv6";
      default = null;
      example = "2001:db8::1";
      meaning = "Public IPv6 address, for the DNS records. Left out, `chatmail dns` takes the host's own.";
    };
  };

  durable = {
    kind = "bool";
    default = true;
    meaning = ''
      Whether a message is on the disk before its sender is told that it arrived. Switched off, delivery is somewhat faster
      and the mail of the last seconds is lost with the power.
    '';
  };
}
