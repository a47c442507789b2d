# Extracts from an evaluated system what tests examine, as plain data.
{
  lib,
  nixpkgs,
  repository,
}:
let
  tried =
    value:
    let
      attempt = builtins.tryEval value;
    in
    if attempt.success then attempt.value else null;

  # All options that the stand-in declares, as { name; option; }.
  isDeclaredHere =
    o: lib.hasPrefix (toString ./stand-in) (toString (lib.head o.option.declarations));
  declared =
    options:
    lib.filter isDeclaredHere (
      lib.collect (o: o ? option) (
        lib.mapAttrsRecursiveCond (o: !(lib.isOption o)) (path: option: {
          name = lib.showOption path;
          inherit option;
        }) (removeAttrs options [ "_module" ])
      )
    );
  ours = file: lib.any (d: lib.hasPrefix "${toString repository}/${d}/" (toString file)) [
    "hosts"
    "modules"
  ];
in
rec {
  host =
    configuration:
    nixpkgs.lib.nixosSystem {
      modules = [
        (repository + "/modules")
        {
          nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
          system.stateVersion = "26.05";
        }
        configuration
      ];
    };
  directory = path: nixpkgs.lib.nixosSystem { modules = [ (repository + path) ]; };

  # Undefined columns of master.cf have no value; NixOS prints "-".
  master =
    system:
    let
      inherit (system.config.services.postfix.settings) master;
    in
    lib.mapAttrs (_: lib.mapAttrs (_: tried)) master;
  # Likewise for the only unit option without a value.
  units = lib.mapAttrs (_: u: u // { startLimitIntervalSec = tried u.startLimitIntervalSec; });
  services = system: units system.config.systemd.services;

  # The texts that the daemons read, as in the container, but from NixOS' merged settings.
  texts =
    system:
    let
      inherit (system.config) services;
      render = repository + "/modules/relay/render";
    in
    {
      main = (import (render + "/postfix.nix")).main services.postfix.settings.main;
      master = (import (render + "/postfix.nix")).master (master system);
      dovecot = import (render + "/dovecot.nix") services.dovecot2.settings;
      nginx = lib.concatStringsSep "\n" [
        services.nginx.appendConfig
        services.nginx.eventsConfig
        services.nginx.streamConfig
        services.nginx.commonHttpConfig
        services.nginx.appendHttpConfig
      ];
      unbound = builtins.toJSON services.unbound.settings;
    };

  # Everything that a setting can affect.
  outcome = system: {
    inherit (system) refusals;
    texts = texts system;
    services = services system;
    sockets = units system.config.systemd.sockets;
    timers = units system.config.systemd.timers;
    etc = lib.mapAttrs (_: f: f.text) system.config.environment.etc;
    inherit (system.config.boot.kernel) sysctl;
    ports = system.config.networking.firewall.allowedTCPPorts;
    acme = { inherit (system.config.security.acme) acceptTerms certs; };
    journald = system.config.services.journald;
    inherit (system.config.users) users groups;
  };

  # The names of stand-in options that a file of modules/ or hosts/ defines in this system.
  setByUs =
    system:
    map (o: o.name) (
      lib.filter (
        o: lib.any (d: ours d.file) (o.option.definitionsWithLocations or [ ])
      ) (declared system.options)
    );
  allDeclared = system: map (o: o.name) (declared system.options);
}
