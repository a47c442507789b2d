{
  # The directory of your clone of chatmail, or the URL that you cloned it from.
  inputs.chatmail.url = "path:/root/chatmail";
  # Use the nixpkgs that chatmail is tested with. `nix flake update` updates both.
  inputs.nixpkgs.follows = "chatmail/nixpkgs";

  outputs =
    { nixpkgs, chatmail, ... }:
    {
      nixosConfigurations.relay = nixpkgs.lib.nixosSystem {
        modules = [
          chatmail.nixosModules.default
          ./configuration.nix
          # Written by nixos-generate-config: disks and hardware of this machine.
          ./hardware-configuration.nix
        ];
      };
    };
}
