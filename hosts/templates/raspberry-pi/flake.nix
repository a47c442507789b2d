# nix build .#nixosConfigurations.relay.config.system.build.sdImage makes the image for the card;
# nixos-rebuild switch --flake .#relay --target-host root@chat.example.org updates the running Pi.
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
          chatmail.nixosModules.raspberry-pi
          ./configuration.nix
        ];
      };
    };
}
