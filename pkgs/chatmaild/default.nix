# The daemons and the operator's command as a Nix package. Build it with pkgs.python3Packages.callPackage ./. { }
{
  lib,
  buildPythonApplication,
  setuptools,
  aiohttp,
  bcrypt,
  cryptography,
  deltachat-rpc-client,
  dnspython,
  h11,
  jinja2,
  markdown-it-py,
  prometheus-client,
  segno,
  dkimpy,
  hypothesis,
  pytestCheckHook,
}:

buildPythonApplication {
  pname = "chatmaild";
  inherit ((lib.importTOML ./pyproject.toml).project) version;
  pyproject = true;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./pyproject.toml
      (lib.fileset.fileFilter (file: file.hasExt "py" || file.name == "py.typed") ./src)
      ./src/chatmaild/website
      ./tests
    ];
  };

  build-system = [ setuptools ];

  dependencies = [
    aiohttp
    bcrypt
    cryptography
    deltachat-rpc-client
    dnspython
    h11
    jinja2
    markdown-it-py
    prometheus-client
    segno
  ];

  nativeCheckInputs = [
    dkimpy
    hypothesis
    pytestCheckHook
  ];

  pythonImportsCheck = [ "chatmaild" ];

  meta = {
    description = "The daemons and the operator's command of a chatmail relay";
    license = lib.licenses.mit;
    mainProgram = "chatmail";
    platforms = lib.platforms.linux;
  };
}
