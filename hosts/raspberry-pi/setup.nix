# From chatmail.txt on the card to a running relay: at each start the text is read, checked, and, if it says something else than
# the running system was made of, the system is rebuilt from it.
#
# Why rebuild, and not fill names into a ready configuration: a relay that nobody looks after gets its security updates by
# rebuilding itself, so a Pi must be able to do that anyway, and then there is one way from settings to files, the one that is
# tested. It is also all or nothing: a system that cannot be built is never switched to, and the one before can be chosen at the
# screen. Everything that a relay consists of is on the card already (`extraDependencies`); what is built on the Pi is text.
{
  config,
  extendModules,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.chatmail;

  # A relay of some name, for its packages.
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

  # What a host is made of; /etc/nixos on the Pi begins as a copy of it.
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

  # Where the message for the screen is; agetty(8) shows /etc/issue.d above the login prompt.
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
    description = "chatmail.txt on the card: read, check, become that relay";
    wantedBy = [ "multi-user.target" ];
    # Rebuilding needs the binary cache now and then, and a clock that certificates agree with.
    wants = [
      "network-online.target"
      "time-sync.target"
    ];
    after = [
      "network-online.target"
      "time-sync.target"
    ];
    unitConfig.RequiresMountsFor = [ "/boot/firmware" ];
    # Switching would stop it, and it is what switches.
    restartIfChanged = false;
    # nixos-rebuild and whatever it calls, as if typed at the prompt.
    path = [ "/run/current-system/sw" ];
    environment = {
      CARD = "/boot/firmware/chatmail.txt";
      FLAKE = "/etc/nixos";
      # Nix keeps what it evaluated below it.
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
      # No network yet, no cache in reach: again. A wrong text (78, sysexits.h) waits for its author.
      Restart = "on-failure";
      RestartSec = "2min";
      RestartPreventExitStatus = 78;
    };
  };
}
