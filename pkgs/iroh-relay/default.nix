# iroh-relay 0.35, for the realtime channels of apps. Delta Chat uses the protocol of this version; nixpkgs has a newer one.
#
# This is the statically linked binary released by the iroh project, and the same one that other chatmail relays run. The
# checksums are those in chatmail/relay. They are of the binary, not of the archive that contains it.
{
  lib,
  stdenvNoCC,
  fetchurl,
}:
let
  version = "0.35.0";
  builds = {
    x86_64-linux = {
      target = "x86_64-unknown-linux-musl";
      sha256 = "45c81199dbd70f8c4c30fef7f3b9727ca6e3cea8f2831333eeaf8aa71bf0fac1";
    };
    aarch64-linux = {
      target = "aarch64-unknown-linux-musl";
      sha256 = "f8ef27631fac213b3ef668d02acd5b3e215292746a3fc71d90c63115446008b1";
    };
  };
  inherit (stdenvNoCC.hostPlatform) system;
  build = builds.${system} or (throw "iroh-relay ${version} was not released for ${system}");
in
stdenvNoCC.mkDerivation {
  pname = "iroh-relay";
  inherit version;

  src = fetchurl {
    name = "iroh-relay-${version}";
    url = "https://github.com/n0-computer/iroh/releases/download/v${version}/iroh-relay-v${version}-${build.target}.tar.gz";
    inherit (build) sha256;
    downloadToTemp = true;
    postFetch = "tar --extract --gzip --to-stdout --file $downloadedFile ./iroh-relay > $out";
  };

  dontUnpack = true;
  installPhase = ''
    runHook preInstall
    install -D -m 755 $src $out/bin/iroh-relay
    runHook postInstall
  '';

  meta = {
    description = "Relay for the realtime channels of apps inside chats";
    homepage = "https://github.com/n0-computer/iroh";
    license = [
      lib.licenses.asl20
      lib.licenses.mit
    ];
    sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
    mainProgram = "iroh-relay";
    platforms = builtins.attrNames builds;
  };
}
