# Declares services.chatmail.*: the settings of relay/settings.nix, and the options that only NixOS needs.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  shapes = import ./relay/kinds.nix;

  # Types check the shape only. relay/check.nix checks the rest, such as whether a text is a domain or a URL, in plain sentences.
  kinds = {
    bool = _: types.bool;
    int = d: types.ints.between d.min d.max;
    days = d: types.ints.between (shapes.daysFrom d) shapes.maxDays;
    bytes = _: types.either types.ints.unsigned (types.strMatching shapes.bytes);
    enum = d: types.enum d.values;
    domain = _: types.str;
    mail = _: types.str;
    url = _: types.str;
    ipv4 = _: types.str;
    ipv6 = _: types.str;
    path =
      _:
      types.externalPath
      // {
        description = "absolute path outside the Nix store, because the store is read-only and every user of the host can read it";
      };
    publicPath = _: types.path;
    text = _: types.str;
  };

  optionOf =
    d:
    let
      type = kinds.${d.kind} d;
      optional = d ? default && d.default == null;
    in
    mkOption (
      {
        type = if optional then types.nullOr type else type;
        description = d.meaning;
      }
      # A relative path such as `./pages` is copied to the store, and with it to the host.
      // lib.optionalAttrs (d.kind == "publicPath") {
        apply = v: if v == null then null else "${v}";
      }
      // lib.optionalAttrs (d ? default) { inherit (d) default; }
      // lib.optionalAttrs (d ? example) { inherit (d) example; }
    );

  optionsOf = lib.mapAttrs (_: d: if shapes.isLeaf d then optionOf d else optionsOf d);
in
{
  options.services.chatmail = optionsOf (import ./relay/settings.nix) // {
    enable = lib.mkEnableOption "a chatmail relay, an e-mail server for chatmail clients";

    package = mkOption {
      type = types.package;
      default = pkgs.python3Packages.callPackage ../pkgs/chatmaild { };
      defaultText = lib.literalExpression "pkgs.python3Packages.callPackage ./pkgs/chatmaild { }";
      description = "The daemons of the relay and the `chatmail` command.";
    };

    dovecotPackage = mkOption {
      type = types.package;
      default = pkgs.callPackage ../pkgs/dovecot { };
      defaultText = lib.literalExpression "pkgs.callPackage ./pkgs/dovecot { }";
      example = lib.literalExpression "pkgs.dovecot";
      description = ''
        The Dovecot 2.4 package. Dovecot normally waits 500 ms before it announces a new message to a connected client. The
        default package removes this wait and is compiled from source; `pkgs.dovecot` comes from the binary cache and keeps it.
      '';
    };

    irohPackage = mkOption {
      type = types.package;
      default = pkgs.callPackage ../pkgs/iroh-relay { };
      defaultText = lib.literalExpression "pkgs.callPackage ./pkgs/iroh-relay { }";
      description = ''
        The package that provides `bin/iroh-relay` 0.35, for `iroh.enable`. The default is the binary released by the iroh
        project. The version in nixpkgs is newer, and it is not known whether it works with Delta Chat.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether to open the relay's ports in the firewall. Without open ports the relay cannot be reached.
      '';
    };

    relay = mkOption {
      type = types.raw;
      readOnly = true;
      description = ''
        The result of the settings as plain data: files, units, DNS records and the configurations of all daemons.
        `problems` lists the error messages for settings that cannot work.
      '';
    };
  };
}
