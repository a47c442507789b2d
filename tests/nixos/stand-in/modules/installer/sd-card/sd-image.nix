# nixos/modules/installer/sd-card/sd-image.nix
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.sdImage = {
    populateFirmwareCommands = mkOption { };
    populateRootCommands = mkOption { };
  };
  options.image.baseName = mkOption { type = types.str; };

  config = {
    fileSystems."/" = {
      device = "/dev/disk/by-label/NIXOS_SD";
      fsType = "ext4";
    };
    fileSystems."/boot/firmware" = {
      device = "/dev/disk/by-label/FIRMWARE";
      fsType = "vfat";
      options = [
        "nofail"
        "noauto"
      ];
    };
    system.build.sdImage = {
      type = "derivation";
      name = "${config.image.baseName}.img.zst";
      outPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-${config.image.baseName}.img.zst";
      drvPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-${config.image.baseName}.drv";
      commands = config.sdImage.populateFirmwareCommands + config.sdImage.populateRootCommands;
    };
  };
}
