# The part of nixpkgs' lib that modules/, hosts/, pkgs/ and the stand-in use, for machines where nixpkgs' own cannot be had. It
# exists for the tests only. test_small_lib.py compares whole systems that were evaluated with it and with nixpkgs' lib.
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elemAt
    filter
    foldl'
    functionArgs
    genList
    getAttr
    intersectAttrs
    isAttrs
    isFunction
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    split
    stringLength
    substring
    toJSON
    ;

  strings = {
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    concatStrings = concatStringsSep "";
    fixedWidthString =
      width: filler: text:
      if stringLength text >= width then text else filler + lib.fixedWidthString (width - 1) filler text;
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix = suffix: text: lib.removeSuffix suffix text != text || suffix == "";
    optionalString = condition: text: if condition then text else "";
    removePrefix =
      prefix: text: if lib.hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
    removeSuffix =
      suffix: text:
      let
        rest = stringLength text - stringLength suffix;
      in
      if rest >= 0 && substring rest (-1) text == suffix then substring 0 rest text else text;
    # The separators that we use mean themselves in a regular expression.
    splitString = separator: text: filter isString (split separator text);
  };

  lists = {
    head = list: elemAt list 0;
    last = list: elemAt list (length list - 1);
    optional = condition: item: if condition then [ item ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    range = first: end: genList (n: first + n) (end - first + 1);
    toList = v: if isList v then v else [ v ];
    unique = foldl' (known: item: if builtins.elem item known then known else known ++ [ item ]) [ ];
  };

  sets = {
    collect =
      wanted: v:
      if wanted v then
        [ v ]
      else if isAttrs v then
        concatMap (lib.collect wanted) (lib.attrValues v)
      else
        [ ];
    concatMapAttrs = f: set: foldl' (all: part: all // part) { } (lib.mapAttrsToList f set);
    filterAttrs = f: set: removeAttrs set (filter (name: !f name set.${name}) (attrNames set));
    genAttrs = names: f: listToAttrs (map (name: lib.nameValuePair name (f name)) names);
    mapAttrs' = f: set: listToAttrs (lib.mapAttrsToList f set);
    mapAttrsRecursiveCond =
      goesOn: f:
      let
        within =
          path:
          mapAttrs (
            name: v:
            if isAttrs v && goesOn v then within (path ++ [ name ]) v else f (path ++ [ name ]) v
          );
      in
      within [ ];
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    nameValuePair = name: value: { inherit name value; };
    optionalAttrs = condition: set: if condition then set else { };
    recursiveUpdate =
      a: b:
      a // mapAttrs (name: v: if isAttrs v && isAttrs (a.${name} or null) then lib.recursiveUpdate a.${name} v else v) b;
  };

  packages = {
    callPackageWith =
      packages: f: arguments:
      let
        function = if isFunction f then f else import f;
      in
      function (intersectAttrs (functionArgs function) packages // arguments);
    getExe = package: lib.getExe' package package.meta.mainProgram;
    getExe' = package: name: "${package}/bin/${name}";
    importTOML = path: fromTOML (builtins.readFile path);
    licenses = lib.genAttrs [ "asl20" "mit" ] (name: name);
    platforms.linux = [
      "aarch64-linux"
      "x86_64-linux"
    ];
    sourceTypes.binaryNativeCode = "binaryNativeCode";
    # Nothing is built here, so a package's source can be the whole directory.
    fileset = {
      fileFilter = _: path: path;
      toSource = { root, ... }: root;
      unions = list: list;
    };
  };

  # Text of a value in the option reference.
  shown =
    v:
    if isList v then
      "[ ${concatStringsSep " " (map shown v)} ]"
    else if isAttrs v then
      "{ ${lib.concatStrings (lib.mapAttrsToList (name: item: "${name} = ${shown item}; ") v)}}"
    else
      toJSON v;
  literal = v: if v ? _type && v ? text then v else lib.literalExpression (shown v);

  options = {
    isOption = v: v._type or null == "option";
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };
    mkEnableOption =
      name:
      lib.mkOption {
        type = lib.types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${name}.";
      };
    mkOption = option: option // { _type = "option"; };
    showOption = strings.concatMapStringsSep "." (
      name: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" name != null then name else toJSON name
    );
    optionAttrSetToDocList =
      options:
      concatMap (
        o:
        [
          (
            {
              inherit (o) loc declarations;
              name = lib.showOption o.loc;
              description = o.description or null;
              internal = o.internal or false;
              visible = o.visible or true;
              readOnly = o.readOnly or false;
              type = o.type.description;
            }
            // lib.optionalAttrs (o ? example) { example = literal o.example; }
            // lib.optionalAttrs (o ? defaultText || o ? default) {
              default = literal (o.defaultText or o.default);
            }
          )
        ]
        ++ lib.optionAttrSetToDocList (o.type.getSubOptions o.loc)
      ) (lib.collect lib.isOption options);
  };

  plain = {
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      filter
      mapAttrs
      ;
    id = v: v;
  };

  lib =
    plain
    // strings
    // lists
    // sets
    // packages
    // options
    // import ./modules.nix lib
    // import ./types.nix lib;
in
lib
