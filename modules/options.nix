# services.chatmail.*: made from relay/settings.nix, which says what each setting does, plus what only NixOS has.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;

  # Types say the shape; whether a text is a domain or a URL is told by the sentences of relay/check.nix.
  kinds = {
    bool = _: types.bool;
    int = d: types.ints.between d.min d.max;
    days = _: types.ints.between 1 36500;
    bytes = _: types.either types.ints.unsigned (types.strMatching "(0|[1-9][0-9]{0,11})[KMG]?");
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
        description = "absolute path outside the Nix store, which everybody on the host reads and nothing changes";
      };
    publicPath = _: types.path;
    text = _: types.str;
  };

  isLeaf = d: builtins.isString (d.kind or null);

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
      # What is written as `./pages` goes into the store, and along to the host.
      // lib.optionalAttrs (d.kind == "publicPath") {
        apply = v: if v == null then null else "${v}";
      }
      // lib.optionalAttrs (d ? default) { inherit (d) default; }
      // lib.optionalAttrs (d ? example) { inherit (d) example; }
    );

  optionsOf = lib.mapAttrs (_: d: if isLeaf d then optionOf d else optionsOf d);
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
        Dovecot 2.4. The default is compiled on your side, without Dovecot's wait of 500 ms before it tells a connected client of
        a new message. `pkgs.dovecot` comes from the binary cache and waits.
      '';
    };

    irohPackage = mkOption {
      type = types.package;
      default = pkgs.callPackage ../pkgs/iroh-relay { };
      defaultText = lib.literalExpression "pkgs.callPackage ./pkgs/iroh-relay { }";
      description = ''
        What has `bin/iroh-relay` 0.35, for `iroh.enable`. The default is the program that its makers released; the one in nixpkgs
        is newer and not known to work with Delta Chat.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the firewall lets in what the relay listens for. A relay that nobody reaches is none.
      '';
    };

    relay = mkOption {
      type = types.raw;
      readOnly = true;
      description = ''
        What the settings amount to: files, units, DNS records and the configurations of all daemons, as plain data.
        `problems` are the sentences that a wrong setting is refused with.
      '';
    };
  };
}
