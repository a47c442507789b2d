# Modules, definitions and priorities, with the outcome of nixpkgs' lib/modules.nix.
lib:
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    filter
    foldl'
    functionArgs
    genericClosure
    isAttrs
    isFunction
    length
    map
    mapAttrs
    sort
    zipAttrsWith
    ;

  is = tag: v: v._type or null == tag;
  numbered = list: builtins.genList (n: { inherit n; item = builtins.elemAt list n; }) (length list);
  reverse = foldl' (done: item: [ item ] ++ done) [ ];

  # Conditions and priorities of a set apply to each of its names. So the names are known before a condition is evaluated.
  pushDown =
    v:
    if is "merge" v then
      concatMap pushDown v.contents
    else if is "if" v then
      map (mapAttrs (_: lib.mkIf v.condition)) (pushDown v.content)
    else if is "override" v then
      map (mapAttrs (_: lib.mkOverride v.priority)) (pushDown v.content)
    else
      [ v ];
  discharged =
    v:
    if is "merge" v then
      concatMap discharged v.contents
    else if is "if" v then
      if v.condition then discharged v.content else [ ]
    else
      [ v ];

  # The definitions that count, without mkMerge, mkIf, mkOverride and mkOrder, in their order.
  effective =
    definitions:
    let
      bare = concatMap (d: map (value: d // { inherit value; }) (discharged d.value)) definitions;
      priority = d: if is "override" d.value then d.value.priority else 100;
      strongest = foldl' (p: d: if priority d < p then priority d else p) 9999 bare;
      order = d: if is "order" d.value then d.value.priority else 1000;
      without = tag: d: if is tag d.value then d // { value = d.value.content; } else d;
    in
    map (without "order") (
      sort (a: b: order a < order b) (
        map (without "override") (filter (d: priority d == strongest) bare)
      )
    );

  # One value of a type. -> { definitions; isDefined; value; }
  mergeDefinitions =
    loc: type: given:
    let
      definitions = effective given;
      name = lib.showOption loc;
    in
    {
      inherit definitions;
      isDefined = definitions != [ ];
      value =
        if definitions == [ ] then
          type.emptyValue.value or (throw "The option `${name}' was accessed but has no value defined.")
        else if all (d: type.check d.value) definitions then
          type.merge loc definitions
        else
          throw "A definition for option `${name}' is not of type `${type.description}'.";
    };

  optionOf =
    loc: declarations: given:
    let
      declared = foldl' (
        known: d:
        known
        // d.options
        // lib.optionalAttrs (known ? type && known.type.typeMerge != null) {
          type = known.type.typeMerge d.options.type;
        }
      ) { } declarations;
      type = declared.type or lib.types.unspecified;
      default = {
        file = (lib.head declarations).file;
        value = lib.mkOptionDefault declared.default;
      };
      definitions = lib.optional (declared ? default) default ++ given;
      merged =
        if declared.readOnly or false && length definitions > 1 then
          throw "The option `${lib.showOption loc}' is read-only, but it's set multiple times."
        else
          mergeDefinitions loc type definitions;
    in
    declared
    // {
      inherit loc type;
      inherit (merged) isDefined;
      declarations = map (d: d.file) declarations;
      definitionsWithLocations = merged.definitions;
      value = (declared.apply or lib.id) merged.value;
    };

  # -> { options; unmatched = [ { file; path; value; } ]; }
  matched =
    prefix: declarations: configs:
    let
      declared = zipAttrsWith (_: lib.id) (
        map (d: mapAttrs (_: options: d // { inherit options; }) d.options) declarations
      );
      defined = zipAttrsWith (_: lib.id) (
        map (c: mapAttrs (_: value: { inherit (c) file; inherit value; }) c.config) configs
      );
      byName = mapAttrs (
        name: here:
        let
          loc = prefix ++ [ name ];
          given = defined.${name} or [ ];
          nested = d: map (config: { inherit (d) file; inherit config; }) (pushDown d.value);
        in
        if all (d: lib.isOption d.options) here then
          {
            options = optionOf loc here given;
            unmatched = [ ];
          }
        else
          matched loc here (concatMap nested given)
      ) declared;
      below = name: map (d: d // { path = [ name ] ++ d.path; }) byName.${name}.unmatched;
      undeclared = removeAttrs defined (attrNames declared);
    in
    {
      options = mapAttrs (_: r: r.options) byName;
      unmatched =
        if configs == [ ] then
          [ ]
        else
          concatMap below (attrNames declared)
          ++ concatLists (lib.mapAttrsToList (name: map (d: d // { path = [ name ]; })) undeclared);
    };

  # A module in its long form, with arguments applied: { file; key; imports; options; config; }
  loaded =
    arguments: parent:
    { n, item }:
    let
      isFile = !isAttrs item && !isFunction item;
      file = if isFile then toString item else parent.file;
      content = if isFile then import item else item;
      asked = mapAttrs (name: _: arguments.${name} or arguments.config._module.args.${name});
      m = if isFunction content then content (arguments // asked (functionArgs content)) else content;
      isLong = m ? config || m ? options;
      short = removeAttrs m [
        "_file"
        "freeformType"
        "imports"
      ];
      freeform = lib.optional (m ? freeformType) { _module = { inherit (m) freeformType; }; };
    in
    {
      file = m._file or file;
      key = if isFile then file else "${parent.key}:${toString n}";
      imports = m.imports or [ ];
      options = if isLong then m.options or { } else { };
      config = lib.mkMerge ([ (if isLong then m.config or { } else short) ] ++ freeform);
    };

  # All modules with their imports, each once.
  collected =
    arguments: modules:
    let
      children = parent: map (loaded arguments parent) (numbered parent.imports);
      root = {
        file = "<unknown-file>";
        key = "";
        imports = modules;
      };
    in
    genericClosure {
      startSet = children root;
      operator = children;
    };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      class ? null,
    }:
    let
      extendModules =
        more:
        evalModules {
          inherit class prefix;
          modules = modules ++ more.modules;
          specialArgs = specialArgs // more.specialArgs or { };
        };
      own = {
        options._module = {
          args = lib.mkOption { type = lib.types.lazyAttrsOf lib.types.raw; };
          freeformType = lib.mkOption {
            type = lib.types.raw;
            default = null;
          };
        };
        config._module.args = { inherit extendModules; };
      };
      all = reverse (collected ({ inherit lib config options; } // specialArgs) (modules ++ [ own ]));
      configs = concatMap (m: map (config: { inherit (m) file; inherit config; }) (pushDown m.config)) all;
      found = matched prefix all configs;
      inherit (found) options unmatched;
      declared = lib.mapAttrsRecursiveCond (v: !lib.isOption v) (_: option: option.value) options;
      freeform = declared._module.freeformType;
      set = path: value: foldl' (v: name: { ${name} = v; }) value (reverse path);
      others = freeform.merge prefix (map (d: { inherit (d) file; value = set d.path d.value; }) unmatched);
      config =
        if freeform == null || unmatched == [ ] then declared else lib.recursiveUpdate others declared;
      checked =
        v:
        if freeform == null && unmatched != [ ] then
          throw "The option `${lib.showOption (prefix ++ (lib.head unmatched).path)}' does not exist."
        else
          v;
    in
    {
      options = checked options;
      config = checked (removeAttrs config [ "_module" ]);
      inherit extendModules;
    };
in
{
  inherit evalModules mergeDefinitions pushDown;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkForce = lib.mkOverride 50;
  mkDefault = lib.mkOverride 1000;
  mkOptionDefault = lib.mkOverride 1500;
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  mkBefore = lib.mkOrder 500;
  mkAfter = lib.mkOrder 1500;
}
