# A relay is a value: settings and a platform go in, and what comes out is everything a machine must hold and run to be that
# relay. Plain Nix: `builtins` only, so that it evaluates anywhere, offline, without nixpkgs.
#
#   settings   as settings.nix declares them; only `domain` is needed
#   platform   "debian", or a set with the names of platforms/debian.nix
#   override   differences of this host from its platform, merged into it two levels deep
#
# `problems` are error messages for the operator. While there are any, the rest may throw and must not be used. join.nix lists
# what else the value has.
{
  settings,
  platform ? "debian",
  override ? { },
}:
let
  inherit (builtins) isAttrs isString mapAttrs;

  checked = import ./check.nix (import ./settings.nix) settings;

  base = if isString platform then import (./platforms + "/${platform}.nix") else platform;
  system =
    base
    // mapAttrs (
      name: v: if isAttrs v && isAttrs (base.${name} or null) then base.${name} // v else v
    ) override;

  names = import ./names.nix {
    inherit (checked) settings;
    platform = system;
  };

  relay =
    import ./join.nix
      {
        inherit (checked) settings;
        platform = system;
        inherit names relay;
        unit = import ./units.nix {
          inherit names;
          platform = system;
        };
      }
      [
        ./postfix.nix
        ./dovecot.nix
        ./nginx
        ./nginx/discovery.nix
        ./nginx/web.nix
        ./unbound.nix
        ./journal.nix
        ./daemons.nix
        ./chatmaild.nix
        ./certificate.nix
        ./dns.nix
        ./expiry.nix
        ./website.nix
        ./turn.nix
        ./iroh.nix
        ./echo.nix
        ./metrics.nix
      ];
in
relay
// {
  inherit (checked) settings;
  problems = checked.problems ++ relay.problems;

  # All of it as text, for systems that have no module system.
  rendered = import ./render {
    inherit relay;
    platform = system;
  };
}
