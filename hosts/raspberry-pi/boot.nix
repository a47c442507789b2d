# What the boards boot from, on the firmware partition: U-Boot, device trees, config.txt.
{ lib, pkgs }:
let
  # nixpkgs after 26.05 has one U-Boot for all boards (https://github.com/NixOS/nixpkgs/pull/537862), and before one for each chip
  # without the Pi 5.
  hasOneLoader = pkgs ? ubootRaspberryPiAarch64;
  loaderOf = chip: if hasOneLoader then "u-boot.bin" else "u-boot-rpi${chip}.bin";
in
{
  # file name -> package
  loaders =
    if hasOneLoader then
      { "u-boot.bin" = pkgs.ubootRaspberryPiAarch64; }
    else
      {
        "u-boot-rpi3.bin" = pkgs.ubootRaspberryPi3_64bit;
        "u-boot-rpi4.bin" = pkgs.ubootRaspberryPi4_64bit;
      };

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
  ]
  ++ lib.optionals hasOneLoader [
    "bcm2712-rpi-5-b"
    "bcm2712d0-rpi-5-b"
  ];

  # https://www.raspberrypi.com/documentation/computers/config_txt.html
  configTxt = ''
    arm_64bit=1
    # U-Boot does not start without a serial port, even if nothing is connected to it.
    enable_uart=1
    # The firmware's warnings would overwrite the screen of the running system.
    avoid_warnings=1

    [pi3]
    kernel=${loaderOf "3"}
    # The clock of the serial port depends on the core clock.
    core_freq=250

    [pi02]
    kernel=${loaderOf "3"}

    [pi4]
    kernel=${loaderOf "4"}
    enable_gic=1
    armstub=armstub8-gic.bin
    disable_overscan=1
    arm_boost=1

    [cm4]
    # USB host mode.
    otg_mode=1
  ''
  + lib.optionalString hasOneLoader ''

    [pi5]
    kernel=u-boot.bin
    # U-Boot takes noise on this board's serial port for a key that interrupts the boot.
    enable_uart=0
  '';
}
