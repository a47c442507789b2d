{
  # Where you cloned chatmail to, or the address that you cloned it from.
  inputs.chatmail.url = "path:/root/chatmail";
  # The nixpkgs that chatmail is tested with; `nix flake update` moves both.
  inputs.nixpkgs.follows = "chatmail/nixpkgs";

  outputs =
    { nixpkgs, chatmail, ... }:
    {
      nixosConfigurations.relay = nixpkgs.lib.nixosSystem {
        modules = [
          chatmail.nixosModules.default
          ./configuration.nix
          # From nixos-generate-config: disks and hardware of this machine.
          ./hardware-configuration.nix
        ];
      };
    };
}
