# Evaluates the relay once, for all other files here. While a setting is wrong, those files do nothing and the operator sees only
# the error messages.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.services.chatmail;
  declared = options.services.chatmail;
  inherit (import ./relay/kinds.nix) isLeaf;
  inherit (lib.importTOML ../pkgs/chatmaild/pyproject.toml) project;

  # The settings with the operator's values or defaults. Only `domain` has no default; if it is missing, relay/check.nix reports
  # it.
  settingsOf =
    declarations: declared: values:
    lib.concatMapAttrs (
      name: d:
      if isLeaf d then
        lib.optionalAttrs declared.${name}.isDefined { ${name} = values.${name}; }
      else
        { ${name} = settingsOf d declared.${name} values.${name}; }
    ) declarations;

  value = import ./relay {
    settings = settingsOf (import ./relay/settings.nix) declared cfg;
    platform = import ./relay/platforms/nixos.nix {
      programs = lib.mapAttrs (name: _: lib.getExe' cfg.package name) project.scripts // {
        postqueue = lib.getExe' config.services.postfix.package "postqueue";
        turnserver = lib.getExe' pkgs.coturn "turnserver";
        deltachat-rpc-server = lib.getExe' pkgs.deltachat-rpc-server "deltachat-rpc-server";
        iroh-relay = lib.getExe' cfg.irohPackage "iroh-relay";
      };
      inherit (config.security.pki) caBundle;
      mimeTypes = config.services.nginx.defaultMimeTypes;
    };
  };
in
{
  services.chatmail.relay = value // {
    active = cfg.enable && value.problems == [ ];
  };

  assertions = lib.optionals cfg.enable (
    map (problem: {
      assertion = false;
      message = "services.chatmail: ${problem}";
    }) value.problems
  );
}
