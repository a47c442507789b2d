# Turns chatmail.txt on the card into a running relay. At each start the Pi reads and checks the file. If it differs from the one
# that the running system was built from, the Pi rebuilds the system.
#
# The Pi rebuilds instead of filling names into a ready configuration, because an unattended relay gets its security updates by
# rebuilding anyway. So there is only one way from settings to files, the tested one. It is also atomic: the Pi never switches to
# a system that failed to build, and the boot menu offers the previous one. The card already contains all packages of a relay
# (`extraDependencies`), so the Pi builds only text files.
{
  config,
  extendModules,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.chatmail;

  # Any relay will do: only its packages are needed.
  someRelay = extendModules {
    modules = [
      {
        services.chatmail = {
          enable = true;
          domain = "chat.example.org";
          certificate.email = "operator@example.org";
        };
      }
    ];
  };

  # The sources of a host. /etc/nixos on the Pi starts as a copy of them.
  source = builtins.path {
    name = "chatmail";
    path = ../..;
    filter =
      path: _:
      let
        inside = lib.removePrefix "${toString ../..}/" path;
      in
      builtins.elem (lib.head (lib.splitString "/" inside)) [
        "flake.lock"
        "flake.nix"
        "hosts"
        "modules"
        "pkgs"
      ];
  };

  # The message for the screen. agetty(8) shows /etc/issue.d above the login prompt.
  screen = "/run/chatmail-setup/screen";

  setup = pkgs.writeShellApplication {
    name = "chatmail-setup";
    text = builtins.readFile ./setup.sh;
  };
in
{
  system.extraDependencies = lib.mkIf (!cfg.enable) [ someRelay.config.system.build.toplevel ];

  sdImage.populateFirmwareCommands = lib.mkAfter ''
    cp ${./chatmail.txt} firmware/chatmail.txt
  '';

  environment.etc."issue.d/chatmail.issue".source = screen;

  systemd.services.chatmail-setup = {
    description = "Set up the relay from chatmail.txt on the card";
    wantedBy = [ "multi-user.target" ];
    # Rebuilding may need the binary cache, and a correct clock to verify its certificate.
    wants = [
      "network-online.target"
      "time-sync.target"
    ];
    after = [
      "network-online.target"
      "time-sync.target"
    ];
    unitConfig.RequiresMountsFor = [ "/boot/firmware" ];
    # This service runs the switch, which must not stop it.
    restartIfChanged = false;
    # nixos-rebuild and everything it calls, as in a login shell.
    path = [ "/run/current-system/sw" ];
    environment = {
      CARD = "/boot/firmware/chatmail.txt";
      FLAKE = "/etc/nixos";
      # Nix keeps its evaluation cache there.
      HOME = "/root";
      SCREEN = screen;
      SOURCE = "${source}";
      TEXT = "${./chatmail.txt}";
    };
    serviceConfig = {
      Type = "oneshot";
      ExecStart = lib.getExe setup;
      RuntimeDirectory = "chatmail-setup";
      RuntimeDirectoryPreserve = true;
      StandardOutput = "journal+console";
      # Try again if the network or the cache is not reachable yet. Do not try again with a wrong file (78, sysexits.h).
      Restart = "on-failure";
      RestartSec = "2min";
      RestartPreventExitStatus = 78;
    };
  };
}
