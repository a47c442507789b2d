# Declares the NixOS options that modules/ and hosts/ set or read, and no others, with the types and defaults of nixpkgs, and
# those of its definitions that affect ours. `read` options are only read by us, or belong to the evaluation.
{
  imports = [
    ./acme.nix
    ./dovecot.nix
    ./nginx.nix
    ./postfix.nix
    ./services.nix
    ./system.nix
    ./systemd.nix
    ./unbound.nix
  ];
}
