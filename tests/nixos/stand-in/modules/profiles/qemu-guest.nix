# nixos/modules/profiles/qemu-guest.nix: virtio drivers for the initrd, nothing that meets ours.
{ }
