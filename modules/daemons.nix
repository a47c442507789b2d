# Units, users, files and kernel parameters from the relay's value. The container runs the same units with the same sandboxes.
{ config, lib, ... }:
let
  cfg = config.services.chatmail;
  inherit (cfg) relay;

  # Keys of a [Unit] section that are separate options on NixOS.
  unitOptions = {
    Description = "description";
    After = "after";
    Before = "before";
    Wants = "wants";
    Requires = "requires";
    StartLimitIntervalSec = "startLimitIntervalSec";
  };
  ownOptions =
    set: f:
    lib.mapAttrs' (key: v: lib.nameValuePair unitOptions.${key} (f v)) (
      builtins.intersectAttrs unitOptions set
    );
  others = set: removeAttrs set (builtins.attrNames unitOptions);

  # The units of one kind, without the suffix: "service" -> { chatmail-web = { Unit; Service; Install; }; … }
  ofKind =
    kind: set:
    lib.mapAttrs' (name: lib.nameValuePair (lib.removeSuffix ".${kind}" name)) (
      lib.filterAttrs (name: _: lib.hasSuffix ".${kind}" name) set
    );

  unit =
    sectionName: optionName: u:
    ownOptions u.Unit lib.id
    // {
      unitConfig = others u.Unit;
      ${optionName} = u.${sectionName};
      wantedBy = u.Install.WantedBy or [ ];
    };

  # NixOS restarts a unit when one of these texts changes.
  texts = map (path: relay.files.${path}.text);

  service =
    u:
    unit "Service" "serviceConfig" u
    // {
      restartTriggers = texts u.reads;
      # With a stop and a later start, the daemon's sockets would be closed in between.
      stopIfChanged = false;
    };

  # The modules of nixpkgs set some of these keys too, with values for daemons that an operator watches. The relay's values win.
  scalarsStand = v: if builtins.isList v then v else lib.mkForce v;
  dropin =
    u:
    ownOptions u.Unit scalarsStand
    // {
      restartTriggers = texts u.reads;
      unitConfig = lib.mapAttrs (_: scalarsStand) (others u.Unit);
      serviceConfig = lib.mapAttrs (_: scalarsStand) u.Service;
    };

in
{
  config = lib.mkIf relay.active {
    systemd.services = lib.mkMerge [
      (lib.mapAttrs (_: service) (ofKind "service" relay.units))
      (lib.mapAttrs (_: dropin) (ofKind "service" relay.dropins))
    ];
    systemd.sockets = lib.mapAttrs (_: unit "Socket" "socketConfig") (ofKind "socket" relay.units);
    systemd.paths = lib.mapAttrs (_: unit "Path" "pathConfig") (ofKind "path" relay.units);
    systemd.timers = lib.mapAttrs (_: unit "Timer" "timerConfig") (ofKind "timer" relay.units);

    users.users = lib.mapAttrs (name: user: {
      isSystemUser = true;
      group = name;
      inherit (user) description;
    }) relay.users;
    users.groups = lib.mkMerge [
      (lib.mapAttrs (_: _: { }) relay.users)
      (lib.mapAttrs (_: members: { inherit members; }) relay.groups)
    ];

    environment.etc = lib.mapAttrs' (
      path: file:
      lib.nameValuePair (lib.removePrefix "/etc/" path) (
        { inherit (file) text; } // lib.optionalAttrs (file ? mode) { inherit (file) mode; }
      )
    ) relay.files;
    environment.systemPackages = [ cfg.package ];

    # This priority overrides NixOS' own defaults (mkDefault, 1000) but not an operator's definitions.
    boot.kernel.sysctl = lib.mapAttrs (_: lib.mkOverride 900) relay.sysctl;
  };
}
