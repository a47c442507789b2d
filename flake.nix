# This file only names things that are defined elsewhere: the relay in modules/relay, the tests in tests, the hosts in hosts.
{
  description = "A chatmail relay on NixOS";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "aarch64-linux"
        "x86_64-linux"
      ];
      forEach = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      systemOf = pkgs: pkgs.stdenv.hostPlatform.system;
      host = directory: lib.nixosSystem { modules = [ directory ]; };
    in
    {
      nixosModules.default.imports = [ ./modules ];
      # The hardware of a Raspberry Pi and its SD card image, without the set-up by chatmail.txt.
      nixosModules.raspberry-pi.imports = [ ./hosts/raspberry-pi/hardware.nix ];

      nixosConfigurations = {
        example = host ./hosts/example;
        raspberry-pi = host ./hosts/raspberry-pi;
      };

      packages = forEach (
        pkgs:
        let
          chatmaild = pkgs.python3Packages.callPackage ./pkgs/chatmaild { };
        in
        {
          inherit chatmaild;
          default = chatmaild;
          dovecot = pkgs.callPackage ./pkgs/dovecot { };
          iroh-relay = pkgs.callPackage ./pkgs/iroh-relay { };
          website = pkgs.callPackage ./pkgs/website {
            inherit chatmaild;
            inherit (self.nixosConfigurations.example.config.services.chatmail) relay;
          };
          option-docs = pkgs.callPackage ./docs/option-docs.nix { };
          rpi-image = self.nixosConfigurations.raspberry-pi.config.system.build.sdImage;
        }
      );

      # For operators who want the packages in their nixpkgs. The module does not need this overlay.
      overlays.default = final: _prev: {
        chatmaild = final.python3Packages.callPackage ./pkgs/chatmaild { };
        chatmail-dovecot = final.callPackage ./pkgs/dovecot { };
      };

      checks = forEach (
        pkgs:
        import ./tests/nixos/checks.nix {
          inherit pkgs;
          packages = self.packages.${systemOf pkgs};
          example = self.nixosConfigurations.example;
        }
      );

      apps = forEach (pkgs: {
        default = {
          type = "app";
          program = lib.getExe self.packages.${systemOf pkgs}.chatmaild;
          meta.description = "Command line of the relay's operator: status, DNS records, accounts";
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = [
            pkgs.gnumake
            pkgs.nixfmt-tree
            pkgs.ruff
            (pkgs.python3.withPackages (ps: [
              ps.hypothesis
              ps.mypy
              ps.pytest
            ]))
          ];
        };
      });

      formatter = forEach (pkgs: pkgs.nixfmt-tree);

      templates = {
        default = self.templates.server;
        server = {
          path = ./hosts/templates/server;
          description = "A chatmail relay on a server";
        };
        raspberry-pi = {
          path = ./hosts/templates/raspberry-pi;
          description = "A chatmail relay on a Raspberry Pi";
        };
      };
    };
}
