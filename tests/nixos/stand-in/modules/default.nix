# Declarations of those NixOS options that modules/ and hosts/ set or read, and no others, with nixpkgs' types, defaults and its
# own definitions as far as they meet ours. `read` options are only read by us, or belong to the evaluation.
{
  imports = [
    ./acme.nix
    ./dovecot.nix
    ./journald.nix
    ./nginx.nix
    ./postfix.nix
    ./services.nix
    ./system.nix
    ./systemd.nix
    ./unbound.nix
  ];
}
