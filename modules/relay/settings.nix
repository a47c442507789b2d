# Every setting of a relay: its kind, its default and its meaning for the operator. `services.chatmail.*` and the option
# reference are generated from this file, and check.nix validates settings against it.
#
# A leaf is a set with `kind`; every other set is a group. The kinds (defined in kinds.nix):
#   bool  int{min,max}  bytes (a number, or "500M": K, M, G are powers of 1024)  days{min ? 1}  enum{values}
#   domain (or an IPv4 address)  mail  url  ipv4  ipv6  text
#   path (absolute; not in the Nix store, since it is a secret or changes)  publicPath (absolute, may be in the store)
# `default = null` makes a setting optional. A leaf without `default` is required.
{
  domain = {
    kind = "domain";
    example = "chat.example.org";
    meaning = ''
      Domain of the relay: the part after the @ of every address, and the name of the host in DNS and in its certificate.
      A domain that starts with `_` is for a lab or a private network: clients do not verify its certificate.
      For a relay without a domain, give its IPv4 address without brackets. Its addresses then read `name@[192.0.2.1]`.
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
      Who can create an address: anyone, at first login (`open`); only people with an invite from `chatmail invites add`
      (`invite`); or no one (`closed`). Existing addresses keep working in every mode. `chatmail registration stop`
      closes registration immediately, regardless of this setting.
    '';
  };

  accounts = {
    nameMinLength = {
      kind = "int";
      min = 1;
      max = 60;
      default = 9;
      meaning = "Minimum length of the part before the @ in a new address.";
    };
    nameMaxLength = {
      kind = "int";
      min = 1;
      max = 60;
      default = 9;
      meaning = "Maximum length of the part before the @ in a new address. Addresses from `/new` have exactly this length.";
    };
    passwordMinLength = {
      kind = "int";
      min = 1;
      max = 60;
      default = 9;
      meaning = "Minimum length of the password of a new address.";
    };
    perNetworkPerMinute = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 10;
      meaning = ''
        Number of new addresses per minute that `/new` gives to one network (an IPv4 address or an IPv6 /64), on average.
        Bursts may be three times as large, for a class or a party behind one address.
      '';
    };
    maxPerHour = {
      kind = "int";
      min = 0;
      max = 1000000;
      default = 1000;
      meaning = ''
        Number of new accounts per hour on the whole relay. Accounts can also be created by logging in, from any number of
        networks. Without this limit an attacker could fill the disk, and the relay would refuse new accounts until the
        unused ones expire, months later. 0 disables the limit.
      '';
    };
    graceDays = {
      kind = "days";
      min = 0;
      default = 90;
      meaning = "Number of days for which a deleted address cannot be registered again.";
    };
  };

  sending = {
    perMinute = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 60;
      meaning = "Number of messages per minute that one account may send, on average. Further messages are deferred: clients retry them later.";
    };
    burst = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 10;
      meaning = "Number of messages that one account may send in a burst before `sending.perMinute` applies.";
    };
    maxRecipients = {
      kind = "int";
      min = 1;
      max = 10000;
      default = 1000;
      meaning = "Maximum number of recipients of one message.";
    };
  };

  message.maxSize = {
    kind = "bytes";
    default = 31457280;
    example = "30M";
    meaning = "Maximum size of a message as transmitted. Base64 encoding makes attachments a third larger.";
  };

  mailbox.maxSize = {
    kind = "bytes";
    default = "500M";
    meaning = "Storage quota of one account. When a mailbox is 75 % full, its oldest messages are deleted.";
  };

  incoming.cleartext = {
    kind = "bool";
    default = true;
    meaning = ''
      Whether to accept mail from other servers that is not end-to-end encrypted, such as newsletters and sign-up mail.
      `chatmail accounts cleartext` overrides this for one account. Outgoing mail must always be encrypted, regardless of
      this setting.
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
        Source of the TLS certificate: an ACME authority such as Let's Encrypt (`acme`), two files that you provide
        (`files`), or the relay itself (`self-signed`). If unset: `self-signed` for an IP address and for a domain that
        starts with `_`, otherwise `acme`.
      '';
    };
    email = {
      kind = "mail";
      default = null;
      example = "operator@example.org";
      meaning = ''
        Contact address for the ACME authority's mail about the certificate.
        By setting it you accept the authority's terms of service.
      '';
    };
    file = {
      kind = "path";
      default = null;
      example = "/var/lib/certificates/fullchain.pem";
      meaning = "The certificate followed by its chain, in PEM format. Used with `certificate.source = \"files\"`.";
    };
    keyFile = {
      kind = "path";
      default = null;
      example = "/var/lib/certificates/key.pem";
      meaning = "The private key in PEM format. Used with `certificate.source = \"files\"`. Keep the key when you renew the certificate, because clients remember it.";
    };
  };

  connections = {
    imap = {
      kind = "int";
      min = 10;
      max = 1000000;
      default = 10000;
      meaning = "Maximum number of simultaneous IMAP connections of all accounts together. An idle connection takes about 0.12 MB of memory.";
    };
    smtp = {
      kind = "int";
      min = 10;
      max = 100000;
      default = 1000;
      meaning = "Maximum number of simultaneous SMTP connections to each service: submission with STARTTLS, submission over TLS, port 25, and mail over HTTPS.";
    };
    perAddress = {
      kind = "int";
      min = 1;
      max = 100000;
      default = 50;
      meaning = ''
        Maximum number of simultaneous connections from one place. It applies to SMTP connections of other servers per IP
        address, to SMTP connections of users per network (an IPv4 address or an IPv6 /64), and to IMAP connections per
        account and IP address.
      '';
    };
  };

  admission = {
    maxLoad = {
      kind = "int";
      min = 0;
      max = 1000;
      default = 5;
      meaning = "The relay refuses new addresses while the 1-minute load average is above this value. 0 disables the limit.";
    };
    minAvailableMemory = {
      kind = "bytes";
      default = "200M";
      meaning = "The relay refuses new addresses while less memory than this is available. 0 disables the limit.";
    };
    minFreeDisk = {
      kind = "bytes";
      default = "1G";
      meaning = "The relay refuses new addresses while the file system of the mailboxes has less free space than this. 0 disables the limit.";
    };
  };

  retention = {
    mailDays = {
      kind = "days";
      default = 20;
      meaning = "Number of days after which a message is deleted, read or unread.";
    };
    largeMailDays = {
      kind = "days";
      default = 7;
      meaning = "Number of days after which a large message is deleted.";
    };
    largeMailSize = {
      kind = "bytes";
      default = 200000;
      meaning = "Size in bytes from which a message counts as large.";
    };
    idleAccountDays = {
      kind = "days";
      default = 90;
      meaning = "Number of days without a login after which an account is deleted, with its mail and all of its data.";
    };
  };

  privacy = {
    mail = {
      kind = "mail";
      default = null;
      meaning = "Mail address for questions about privacy. Clients show it as the contact of the relay.";
    };
    postal = {
      kind = "text";
      default = null;
      meaning = "Postal address of the operator, for the privacy page.";
    };
    officer = {
      kind = "text";
      default = null;
      meaning = "Contact details of the data protection officer, for the privacy page.";
    };
    supervisor = {
      kind = "text";
      default = null;
      meaning = "The data protection authority that supervises the operator, for the privacy page.";
    };
  };

  push = {
    enable = {
      kind = "bool";
      default = true;
      meaning = "Whether clients may register device tokens for push notifications, so that a new message wakes a sleeping phone.";
    };
    proxy = {
      kind = "url";
      default = "https://notifications.delta.chat/notify";
      meaning = "URL of the push proxy. For each new message the relay sends it the device tokens of the recipient and nothing else.";
    };
  };

  turn = {
    enable = {
      kind = "bool";
      default = true;
      meaning = "Whether to run a STUN and TURN server, so that calls work through firewalls and NAT.";
    };
    minPort = {
      kind = "int";
      min = 1024;
      max = 65535;
      default = 49152;
      meaning = "First UDP port for calls. The firewall opens the range up to `turn.maxPort`.";
    };
    maxPort = {
      kind = "int";
      min = 1024;
      max = 65535;
      default = 50151;
      meaning = "Last UDP port for calls.";
    };
    privateAddress = {
      kind = "ipv4";
      default = null;
      example = "192.168.1.10";
      meaning = ''
        The host's local IPv4 address, if the host is behind NAT and `addresses.ipv4` is the address of the router. The
        router must forward UDP port 3478 and the ports for calls without changing the port numbers.
      '';
    };
  };

  iroh = {
    enable = {
      kind = "bool";
      default = false;
      meaning = ''
        Whether to run iroh-relay 0.35 for the realtime channels of apps inside chats. Without it clients use the public
        relays of the iroh project.
      '';
    };
    url = {
      kind = "url";
      default = null;
      example = "https://iroh.example.org";
      meaning = "URL of an iroh-relay on another host that clients should use. It cannot be combined with `iroh.enable`.";
    };
  };

  appVersions = {
    kind = "publicPath";
    default = null;
    example = "/var/lib/chatmail/app-versions.json";
    meaning = ''
      A JSON file with the newest versions of apps and their download addresses, for clients that no app store updates. The
      relay reads it again when it changes.
    '';
  };

  website = {
    pages = {
      kind = "publicPath";
      default = null;
      example = "/etc/chatmail-pages";
      meaning = ''
        A directory with one folder of Markdown files per language, such as `en/privacy.md`. The files replace pages of the
        website or add new ones. The directory must not be below /home; on NixOS it may be `./pages` beside your
        configuration. `chatmail-website` renders the pages at boot and whenever it is started.
      '';
    };
    root = {
      kind = "publicPath";
      default = null;
      example = "/srv/www";
      meaning = "A directory with a complete website (`index.html`), served instead of the relay's own pages.";
    };
  };

  metrics = {
    enable = {
      kind = "bool";
      default = false;
      meaning = ''
        Whether to export metrics for Prometheus at `/metrics` on loopback. They contain no addresses or other personal
        data. A Prometheus on the same NixOS host is configured to scrape them automatically. For a Prometheus elsewhere,
        `relay.prometheus` holds a scrape configuration and alerting rules.
      '';
    };
    port = {
      kind = "int";
      min = 1024;
      max = 65535;
      default = 3903;
      meaning = "Port of the metrics on 127.0.0.1.";
    };
  };

  echo.enable = {
    kind = "bool";
    default = false;
    meaning = ''
      Whether to run an echo bot, `echo@domain`, that repeats every message it receives, so that users can test a new
      address. It works in every registration mode, and the name `echo` is reserved for it.
    '';
  };

  reports.mail = {
    kind = "mail";
    default = null;
    example = "reports@example.org";
    meaning = ''
      Mail address for the TLS reports (TLSRPT) in which other servers say how often TLS to this relay failed. The DNS records
      contain it. If unset, `privacy.mail` is used. Without either, the relay does not request reports.
    '';
  };

  dkim.ed25519 = {
    kind = "bool";
    default = false;
    meaning = ''
      Whether to sign mail with an Ed25519 key (RFC 8463) in addition to the RSA-2048 key that every server can verify.
      `chatmail dns` then prints one more record. Publish it immediately, because other servers need it to verify the second
      signature.
    '';
  };

  addresses = {
    ipv4 = {
      kind = "ipv4";
      default = null;
      example = "192.0.2.1";
      meaning = "Public IPv4 address for the DNS records. If unset, `chatmail dns` uses the host's own address.";
    };
    ipv6 = {
      kind = "ipv6";
      default = null;
      example = "2001:db8::1";
      meaning = "Public IPv6 address for the DNS records. If unset, `chatmail dns` uses the host's own address.";
    };
  };

  durable = {
    kind = "bool";
    default = true;
    meaning = ''
      Whether delivery waits until the message is written to disk (fsync) before it is acknowledged to the sender. Without
      this, delivery is somewhat faster, but a power failure can lose the messages of the last seconds.
    '';
  };
}
