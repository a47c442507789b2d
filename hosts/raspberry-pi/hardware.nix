# The SD card image for a Raspberry Pi 3, 4, 400, Zero 2 W, CM3 or CM4, and for a Pi 5 where nixpkgs has a U-Boot for it. It uses
# nixpkgs' image builder, but without the rescue tools of its ready-made image.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  firmware = "${pkgs.raspberrypifw}/share/raspberrypi/boot";
  boot = import ./boot.nix { inherit lib pkgs; };
  configTxt = pkgs.writeText "config.txt" boot.configTxt;
in
{
  imports = [ "${modulesPath}/installer/sd-card/sd-image.nix" ];

  nixpkgs.hostPlatform = "aarch64-linux";

  image.baseName = "chatmail-raspberry-pi";
  sdImage = {
    populateFirmwareCommands = ''
      cp ${firmware}/{bootcode.bin,fixup*.dat,start*.elf} firmware/
      cp ${lib.concatMapStringsSep " " (name: "${firmware}/${name}.dtb") boot.deviceTrees} firmware/
      ${lib.concatStringsSep "\n" (
        lib.mapAttrsToList (file: loader: "cp ${loader}/u-boot.bin firmware/${file}") boot.loaders
      )}
      cp ${pkgs.raspberrypi-armstubs}/armstub8-gic.bin firmware/
      cp ${configTxt} firmware/config.txt
    '';
    populateRootCommands = ''
      mkdir -p files/boot
      ${config.boot.loader.generic-extlinux-compatible.populateCmd} -c ${config.system.build.toplevel} -d files/boot
    '';
  };

  boot.loader = {
    grub.enable = false;
    generic-extlinux-compatible = {
      enable = true;
      # The number of generations in the boot menu, in case one does not start.
      configurationLimit = 5;
    };
  };
  # The last console gets the kernel's messages: the screen.
  boot.kernelParams = [
    "console=ttyAMA0,115200n8"
    "console=tty0"
  ];
  hardware.enableRedistributableFirmware = true;

  networking.hostName = "chatmail";
  # A Pi has no battery-backed clock. With a wrong time, DNSSEC validation fails (signatures are valid for days), so time servers
  # cannot be found by name. The last two entries are the fixed addresses of time.cloudflare.com.
  networking.timeServers = [
    "0.nixos.pool.ntp.org"
    "1.nixos.pool.ntp.org"
    "162.159.200.1"
    "2606:4700:f1::1"
  ];

  # Every write wears the card. So the journal is kept in memory (modules/journald.nix), and swap uses compressed memory first.
  # The swap file is for rebuilding on a Pi with little memory.
  zramSwap.enable = true;
  swapDevices = [
    {
      device = "/var/swapfile";
      size = 2048;
    }
  ];
  documentation.enable = false;
  nix = {
    settings = {
      experimental-features = [
        "flakes"
        "nix-command"
      ];
      max-jobs = 1;
    };
    gc = {
      automatic = true;
      options = "--delete-older-than 30d";
    };
  };

  # The NixOS release this host was installed with. Do not change it when you update.
  system.stateVersion = "26.05";
}
