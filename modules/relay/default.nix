# A relay is a value: settings and a platform go in, and what comes out is everything a machine must hold and run to be that
# relay. Plain Nix: `builtins` only, so that it evaluates anywhere, offline, without nixpkgs.
#
#   settings   as settings.nix declares them; only `domain` is needed
#   platform   "debian", or a set with the names of platforms/debian.nix
#   override   what a host says otherwise than its platform, merged into it two levels deep
#
# `problems` are sentences for the operator; while there are any, the rest may throw and is not to be used.
{
  settings,
  platform ? "debian",
  override ? { },
}:
let
  inherit (builtins)
    isAttrs
    isString
    mapAttrs
    toJSON
    ;

  checked = import ./check.nix (import ./settings.nix) settings;

  base = if isString platform then import (./platforms + "/${platform}.nix") else platform;
  chosen =
    base
    // mapAttrs (
      name: v: if isAttrs v && isAttrs (base.${name} or null) then base.${name} // v else v
    ) override;

  names = import ./names.nix {
    inherit (checked) settings;
    platform = chosen;
  };
  part = {
    inherit (checked) settings;
    inherit names;
    platform = chosen;
  };
  withUnits = part // {
    unit = import ./units.nix {
      inherit names;
      platform = chosen;
    };
  };

  taken = builtins.attrValues;

  postfix = import ./postfix.nix part;
  dovecot = import ./dovecot.nix part;
  website = import ./website.nix withUnits;
  turn = import ./turn.nix withUnits;
  iroh = import ./iroh.nix withUnits;
  echo = import ./echo.nix withUnits;
  metrics = import ./metrics.nix withUnits;
  nginx = import ./nginx (
    part
    // {
      inherit (website.nginx) maps headers;
      locations = iroh.locations ++ website.nginx.locations;
    }
  );
  expiry = import ./expiry.nix withUnits;
  unbound = import ./unbound.nix { platform = chosen; };
  records = import ./dns.nix {
    inherit (checked) settings;
    inherit names;
    inherit (nginx) mtaStsPolicy;
  };
  certificate = import ./certificate.nix withUnits;
  daemons = import ./daemons.nix withUnits;
  chatmaild = import ./chatmaild.nix (
    part
    // {
      inherit records;
      metrics = metrics.config;
      inherit (common) units;
    }
  );
  # What is the same on every system: files that the daemons' configurations point to, units, users, kernel parameters.
  common = {
    files =
      postfix.files
      // nginx.files
      // turn.files
      // iroh.files
      // {
        ${names.files.config}.text = "${toJSON chatmaild}\n";
      };
    users = daemons.users // certificate.users // turn.users // iroh.users // echo.users // metrics.users;
    units =
      daemons.units
      // certificate.units
      // website.units
      // turn.units
      // expiry.units
      // iroh.units
      // echo.units
      // metrics.units;
    dropins = import ./dropins.nix;
    sysctl = {
      # One instance for each idle IMAP client, all of them the mailbox user's.
      "fs.inotify.max_user_instances" = 2 * checked.settings.connections.imap + 1024;
      "fs.inotify.max_user_watches" = 16 * checked.settings.connections.imap + 8192;
    };
  };
in
common
// {
  inherit (checked) settings;
  problems =
    checked.problems
    ++ (
      if builtins.elem checked.settings.metrics.port (taken names.ports ++ taken names.proxied ++ taken names.local) then
        [ "`metrics.port` (${toString checked.settings.metrics.port}) is a port of the relay's own: take another" ]
      else
        [ ]
    );
  postfix = { inherit (postfix) main master; };
  dovecot = dovecot.settings;
  nginx = {
    inherit (nginx)
      main
      errorLevel
      events
      stream
      http
      otherSites
      realAddress
      ;
  };
  unbound = unbound.settings;
  inherit chatmaild;
  dns = records;
  ports = postfix.ports // dovecot.ports // nginx.ports;
  # What a Prometheus may be told; null without `metrics.enable`.
  inherit (metrics) prometheus;
  # Ranges of UDP ports for the firewall, first and last.
  inherit (turn) udp;

  # All of it as text, for a system without a module system of its own.
  rendered = import ./render (
    common
    // {
      platform = chosen;
      inherit postfix;
      dovecot = dovecot.settings;
      nginx = nginx.whole;
      unbound = unbound.settings;
    }
  );
}
