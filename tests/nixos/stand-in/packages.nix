# Packages without content. Only the names that this repository uses exist, so a misspelt one is an error, as in nixpkgs.
{
  lib,
  system,
  nixosSystem,
  # names that only some releases have
  packages,
}:
let
  package = name: {
    type = "derivation";
    inherit name system;
    pname = name;
    version = "0";
    outPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-${name}";
    drvPath = "/nix/store/${lib.fixedWidthString 32 "0" ""}-${name}.drv";
    meta.mainProgram = name;
    override = _: package name;
    overrideAttrs = _: package name;
  };
  # A package that records its inputs, for tests to examine.
  made = name: parts: package name // { inherit parts; };

  python = names: lib.genAttrs names package;
  python3Packages =
    python [
      "aiohttp"
      "aioice"
      "aiosmtplib"
      "bcrypt"
      "cryptography"
      "deltachat-rpc-client"
      "dkimpy"
      "dnspython"
      "h11"
      "hypothesis"
      "imap-tools"
      "jinja2"
      "markdown-it-py"
      "prometheus-client"
      "mypy"
      "pgpy"
      "pillow"
      "psutil"
      "pytest"
      "pytest-timeout"
      "pytestCheckHook"
      "segno"
      "setuptools"
      "zxing-cpp"
    ]
    // {
      inherit lib;
      buildPythonApplication = attributes: made attributes.pname attributes;
      callPackage = lib.callPackageWith (self // python3Packages);
    };

  self =
    lib.genAttrs [
      "coreutils"
      "coturn"
      "deltachat-rpc-server"
      "dovecot"
      "gnumake"
      "knot-dns"
      "nixfmt"
      "nixfmt-tree"
      "openssh"
      "postfix"
      "raspberrypi-armstubs"
      "raspberrypifw"
      "ruff"
    ] package
    // lib.genAttrs packages package
    // {
      inherit lib python3Packages;
      stdenv.hostPlatform = {
        inherit system;
        isAarch64 = system == "aarch64-linux";
      };
      # The directory of nixpkgs' own test set-ups.
      path = toString ./.;
      callPackage = lib.callPackageWith (self // { pkgs = self; });
      stdenvNoCC = {
        inherit (self.stdenv) hostPlatform;
        mkDerivation = attributes: made attributes.pname attributes;
      };
      fetchurl = attributes: made attributes.name attributes;
      python3 = package "python3" // {
        interpreter = "${(package "python3").outPath}/bin/python3";
        withPackages = f: made "python3-env" (f python3Packages);
      };
      mkShellNoCC = made "shell";
      writeText = name: text: made name { inherit text; };
      linkFarm = name: entries: made name { inherit entries; };
      writeShellApplication = attributes: made attributes.name attributes;
      runCommand =
        name: attributes: script:
        made name { inherit attributes script; };
      nixosOptionsDoc = attributes: {
        optionsCommonMark = made "options.md" attributes;
      };
      testers.runNixOSTest =
        module:
        let
          evaluated = import ./test-driver.nix {
            inherit lib nixosSystem module;
            pkgs = self;
          };
        in
        package "vm-test-run-${evaluated.name}" // { inherit (evaluated) nodes testScript; };
    };
in
self
