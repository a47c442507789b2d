# Types of options, with the checks, merging and descriptions of nixpkgs' lib/types.nix.
lib:
let
  inherit (builtins)
    all
    concatMap
    elem
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    map
    mapAttrs
    match
    toJSON
    zipAttrsWith
    ;

  values = map (d: d.value);
  conflict = loc: throw "The option `${lib.showOption loc}' has conflicting definition values.";
  one = loc: definitions: if length definitions == 1 then (lib.head definitions).value else conflict loc;
  equal =
    loc: definitions:
    let
      first = (lib.head definitions).value;
    in
    if all (v: v == first) (values definitions) then first else conflict loc;

  # descriptionClass says where a description needs parentheses within another one.
  type =
    parts:
    {
      description = parts.name;
      descriptionClass = null;
      check = _: true;
      merge = equal;
      emptyValue = { };
      getSubOptions = _: { };
      # How a second declaration of the same option adds to it; null if it cannot.
      typeMerge = null;
    }
    // parts;
  simple =
    name: description: check:
    type {
      inherit name description check;
      descriptionClass = "noun";
    };
  within =
    classes: t: if elem t.descriptionClass classes then t.description else "(${t.description})";
  narrowed = t: check: t // { check = v: t.check v && check v; };

  isStringLike = v: isString v || isPath v || (isAttrs v && (v ? outPath || v ? __toString));
  beginsWith = prefix: v: lib.hasPrefix prefix (builtins.unsafeDiscardStringContext "${toString v}");
  isDerivation = v: v.type or null == "derivation";

  # For definitions of a type that says nothing: NixOS' assertions, for example.
  guessed =
    loc: definitions:
    let
      given = values definitions;
    in
    if length given == 1 then
      lib.head given
    else if all isList given then
      lib.concatLists given
    else if all isAttrs given then
      builtins.foldl' (a: b: a // b) { } given
    else if all isString given then
      lib.concatStrings given
    else
      equal loc definitions;

  ranged =
    description: lowest: highest:
    simple "int" description (v: isInt v && v >= lowest && v <= highest);
  inclusive = lowest: highest: "between ${toString lowest} and ${toString highest} (both inclusive)";

  attrsWith =
    lazy: element:
    type {
      name = if lazy then "lazyAttrsOf" else "attrsOf";
      description = "${lib.optionalString lazy "lazy "}attribute set of ${within [ "noun" "composite" ] element}";
      descriptionClass = "composite";
      check = isAttrs;
      merge =
        loc: definitions:
        let
          sets = concatMap (d: map (value: d // { inherit value; }) (lib.pushDown d.value)) definitions;
          merged = zipAttrsWith (name: lib.mergeDefinitions (loc ++ [ name ]) element) (
            map (d: mapAttrs (_: value: { inherit (d) file; inherit value; }) d.value) sets
          );
        in
        mapAttrs (_: m: m.value) (if lazy then merged else lib.filterAttrs (_: m: m.isDefined) merged);
      emptyValue.value = { };
      getSubOptions = prefix: element.getSubOptions (prefix ++ [ "<name>" ]);
      typeMerge = other: attrsWith lazy (element.typeMerge other.element);
      inherit element;
    };

  submodules =
    modules:
    let
      evaluated =
        loc: name: definitions:
        lib.evalModules {
          modules =
            modules
            ++ map (
              d:
              { _file = d.file; }
              // (if isAttrs d.value then { config = d.value; } else { imports = [ d.value ]; })
            ) definitions;
          prefix = loc;
          specialArgs = { inherit name; };
        };
    in
    type {
      name = "submodule";
      check = v: isAttrs v || isFunction v || isPath v;
      merge = loc: definitions: (evaluated loc (lib.last loc) definitions).config;
      emptyValue.value = (evaluated [ ] "<name>" [ ]).config;
      getSubOptions = prefix: (evaluated prefix "<name>" [ ]).options;
      typeMerge = other: submodules (modules ++ other.modules);
      inherit modules;
    };

  types = rec {
    unspecified = simple "unspecified" "unspecified value" (_: true) // { merge = guessed; };
    raw = simple "raw" "raw value" (_: true) // { merge = one; };
    bool = simple "bool" "boolean" isBool;
    int = simple "int" "signed integer" isInt;
    float = simple "float" "floating point number" isFloat;
    ints = {
      between = lowest: highest: ranged "integer ${inclusive lowest highest}" lowest highest;
      positive = narrowed int (v: v > 0);
      unsigned = narrowed int (v: v >= 0) // {
        description = "unsigned integer, meaning >=0";
        descriptionClass = "nonRestrictiveClause";
      };
    };
    port = ranged "16 bit unsigned integer; ${inclusive 0 65535}" 0 65535;
    str = simple "str" "string" isString;
    nonEmptyStr = simple "nonEmptyStr" "non-empty string" (v: isString v && match "[ \t\n]*" v == null);
    singleLineStr =
      simple "singleLineStr" "(optionally newline-terminated) single-line string" (
        v: isString v && match "[^\n\r]*\n?" v != null
      )
      // {
        merge = loc: definitions: lib.removeSuffix "\n" (equal loc definitions);
      };
    strMatching =
      pattern:
      simple "strMatching" "string matching the pattern ${pattern}" (
        v: isString v && match pattern v != null
      );
    lines = simple "lines" "strings concatenated with \"\\n\"" isString // {
      merge = _: definitions: lib.concatStringsSep "\n" (values definitions);
    };
    path = simple "path" "absolute path" (v: isStringLike v && beginsWith "/" v);
    externalPath = simple "externalPath" "absolute path not in the Nix store" (
      v: isString v && beginsWith "/" v && !beginsWith builtins.storeDir v
    );
    package = simple "package" "package" (v: isDerivation v || (isStringLike v && beginsWith builtins.storeDir v)) // {
      merge = one;
    };
    enum =
      allowed:
      simple "enum" "one of ${lib.concatMapStringsSep ", " toJSON allowed}" (v: elem v allowed)
      // {
        descriptionClass = "conjunction";
      };
    deferredModule =
      simple "deferredModule" "module" (v: isAttrs v || isFunction v || isPath v)
      // {
        merge = _: definitions: {
          imports = map (d: { _file = d.file; imports = [ d.value ]; }) definitions;
        };
      };

    nullOr =
      element:
      type {
        name = "nullOr";
        description = "null or ${within [ "noun" "conjunction" ] element}";
        descriptionClass = "conjunction";
        check = v: v == null || element.check v;
        merge =
          loc: definitions:
          let
            nulls = map (v: v == null) (values definitions);
          in
          if all lib.id nulls then
            null
          else if elem true nulls then
            throw "The option `${lib.showOption loc}' is defined both null and not null."
          else
            element.merge loc definitions;
        emptyValue.value = null;
        inherit (element) getSubOptions;
      };
    either =
      a: b:
      type {
        name = "either";
        description =
          if a.descriptionClass == "nonRestrictiveClause" then
            "${a.description}, or ${within [ "noun" "conjunction" ] b}"
          else
            "${within [ "noun" "conjunction" ] a} or ${within [ "noun" "conjunction" "composite" ] b}";
        descriptionClass = "conjunction";
        check = v: a.check v || b.check v;
        merge =
          loc: definitions:
          let
            fits = t: all t.check (values definitions);
          in
          (
            if fits a then
              a.merge
            else if fits b then
              b.merge
            else
              one
          )
            loc
            definitions;
      };
    oneOf = list: builtins.foldl' either (lib.head list) (builtins.tail list);
    listOf =
      element:
      type {
        name = "listOf";
        description = "list of ${within [ "noun" "composite" ] element}";
        descriptionClass = "composite";
        check = isList;
        merge =
          loc: definitions:
          let
            counted = f: list: builtins.genList (n: f (toString (n + 1)) (builtins.elemAt list n)) (length list);
            item =
              n: file: m: value:
              lib.mergeDefinitions (loc ++ [ "[definition ${n}-entry ${m}]" ]) element [
                { inherit file value; }
              ];
            items = lib.concatLists (counted (n: d: counted (item n d.file) d.value) definitions);
          in
          map (m: m.value) (lib.filter (m: m.isDefined) items);
        emptyValue.value = [ ];
        getSubOptions = prefix: element.getSubOptions (prefix ++ [ "*" ]);
      };
    nonEmptyListOf = element: narrowed (listOf element) (v: v != [ ]) // { emptyValue = { }; };
    attrsOf = attrsWith false;
    lazyAttrsOf = attrsWith true;
    submodule = module: submodules [ module ];
  };
in
{
  inherit types;
  mkOptionType = type;
  mergeEqualOption = equal;
}
