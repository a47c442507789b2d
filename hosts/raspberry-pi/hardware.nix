# The SD card image for a Raspberry Pi 3, 4, 400, Zero 2 W, CM3 or CM4. It uses nixpkgs' image builder, but without the rescue
# tools of its ready-made image. A Pi 5 does not boot from it, because its U-Boot and device trees came to nixpkgs after 26.05
# (https://github.com/NixOS/nixpkgs/pull/537862). hosts/README.md names an alternative.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  firmware = "${pkgs.raspberrypifw}/share/raspberrypi/boot";
  deviceTrees = [
    "bcm2710-rpi-3-b"
    "bcm2710-rpi-3-b-plus"
    "bcm2710-rpi-cm3"
    "bcm2710-rpi-zero-2"
    "bcm2710-rpi-zero-2-w"
    "bcm2711-rpi-4-b"
    "bcm2711-rpi-400"
    "bcm2711-rpi-cm4"
    "bcm2711-rpi-cm4s"
  ];
  # https://www.raspberrypi.com/documentation/computers/config_txt.html
  configTxt = pkgs.writeText "config.txt" ''
    arm_64bit=1
    # U-Boot does not start without a serial port, even if nothing is connected to it.
    enable_uart=1
    # The firmware's warnings would overwrite the screen of the running system.
    avoid_warnings=1

    [pi3]
    kernel=u-boot-rpi3.bin
    # The clock of the serial port depends on the core clock.
    core_freq=250

    [pi02]
    kernel=u-boot-rpi3.bin

    [pi4]
    kernel=u-boot-rpi4.bin
    enable_gic=1
    armstub=armstub8-gic.bin
    disable_overscan=1
    arm_boost=1

    [cm4]
    # USB host mode.
    otg_mode=1
  '';
in
{
  imports = [ "${modulesPath}/installer/sd-card/sd-image.nix" ];

  nixpkgs.hostPlatform = "aarch64-linux";

  image.baseName = "chatmail-raspberry-pi";
  sdImage = {
    populateFirmwareCommands = ''
      cp ${firmware}/{bootcode.bin,fixup*.dat,start*.elf} firmware/
      cp ${lib.concatMapStringsSep " " (name: "${firmware}/${name}.dtb") deviceTrees} firmware/
      cp ${pkgs.ubootRaspberryPi3_64bit}/u-boot.bin firmware/u-boot-rpi3.bin
      cp ${pkgs.ubootRaspberryPi4_64bit}/u-boot.bin firmware/u-boot-rpi4.bin
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
