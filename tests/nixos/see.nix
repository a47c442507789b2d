# What tests ask of an evaluated system, as plain data.
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

  # Every option of a system that the stand-in declares, as { name; option; }.
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

  # Columns of master.cf that nobody defined have no value; NixOS prints "-".
  master =
    system:
    let
      inherit (system.config.services.postfix.settings) master;
    in
    lib.mapAttrs (_: lib.mapAttrs (_: tried)) master;
  # Likewise the one unit option that has no value of its own.
  units = lib.mapAttrs (_: u: u // { startLimitIntervalSec = tried u.startLimitIntervalSec; });
  services = system: units system.config.systemd.services;

  # What a daemon would read: the texts that the container gets, made of what NixOS merged.
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

  # Everything that a setting could have an effect on.
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

  # Names of the stand-in's options to which a file of modules/ or hosts/ gives a value in this system.
  setByUs =
    system:
    map (o: o.name) (
      lib.filter (
        o: lib.any (d: ours d.file) (o.option.definitionsWithLocations or [ ])
      ) (declared system.options)
    );
  allDeclared = system: map (o: o.name) (declared system.options);
}
