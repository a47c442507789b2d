# The website of a relay as chatmail-website writes it there, to look at before anything runs. On a relay it is written anew
# whenever what it says has changed, because the echo bot's invite is known only there.
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
