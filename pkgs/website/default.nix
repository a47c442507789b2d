# A preview of a relay's website, as chatmail-website would write it. A running relay renders its website itself and again after
# each change, because only the relay knows the echo bot's invite.
{
  lib,
  runCommand,
  chatmaild,
  relay,
}:
runCommand "chatmail-website"
  {
    nativeBuildInputs = [ chatmaild ];
    config = builtins.toJSON (lib.recursiveUpdate relay.chatmaild { website.site = "@build@/site"; });
    passAsFile = [ "config" ];
  }
  ''
    sed "s|@build@|$NIX_BUILD_TOP|" "$configPath" > chatmaild.json
    chatmail-website --config chatmaild.json
    cp -rL site/current $out
  ''
