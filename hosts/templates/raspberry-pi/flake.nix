# To build the image for the card: nix build .#nixosConfigurations.relay.config.system.build.sdImage
# To update the running Pi: nixos-rebuild switch --flake .#relay --target-host root@chat.example.org
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
          chatmail.nixosModules.raspberry-pi
          ./configuration.nix
        ];
      };
    };
}
