# Written by `hoist flake`, the same bytes in every project: what differs lies in hoist.lock, which
# `hoist ship` keeps current. It has no inputs and evaluates purely, with Nix 2.8 and newer.
{
  description = "Native libraries, built, checked and shipped by hoist";

  outputs = _:
    let
      lock = builtins.fromJSON (builtins.readFile ./hoist.lock);
      name = lock.package.name;
      forSystems = outputs: builtins.mapAttrs outputs lock.systems;

      # The store path that hoist made: its name and the hash of its content decide it, for hoist
      # as for Nix. A copy in this repository is put into the store while this is evaluated; else
      # Nix asks its substituters, then the first cache of the lock.
      land = caches: locked:
        let
          pathName = builtins.substring 33 (-1) (baseNameOf locked.storePath);
          copy = builtins.path {
            name = pathName;
            path = ./. + "/${locked.path}";
            recursive = true;
            sha256 = locked.narHash;
          };
          cache = builtins.head (caches ++ [ "file:///hoist.lock-names-no-cache" ]);
        in
        derivation ({
          name = pathName;
          system = "builtin";
          builder = "builtin:fetchurl";
          url = "${cache}/${locked.nar}";
          unpack = true;
          outputHashMode = "recursive";
          outputHash = locked.narHash;
          preferLocalBuild = true;
          impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
        } // (if locked ? path then { inherit copy; } else { }));

      artifact = locked: land locked.caches or [ ] locked.artifact;
      hoist = locked: land locked.caches or [ ] locked.hoist;

      libraryPath = locked: {
        HOIST_LIB_PATH = "${artifact locked}/lib";
        shellHook = ''
          export LD_LIBRARY_PATH="$HOIST_LIB_PATH''${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        '';
      };
      ofPackages = pkgs: lock.systems.${pkgs.stdenv.hostPlatform.system};
    in
    {
      packages = forSystems (_: locked:
        (if locked ? hoist then { hoist = hoist locked; } else { })
        // { ${name} = artifact locked; }
        // { default = artifact locked; });

      checks = forSystems (system: locked:
        if locked ? hoist then {
          hoist = derivation {
            name = "${name}-check";
            inherit system;
            builder = "${hoist locked}/bin/hoist";
            args = [ "check" "--report" (placeholder "out") (artifact locked) ];
          };
        } else { });

      # Without nixpkgs, the shell is the machine's own bash.
      devShells = forSystems (system: locked: {
        default = derivation (libraryPath locked // {
          name = "${name}-shell";
          inherit system;
          builder = "/bin/bash";
          args = [ "-c" "declare -p HOIST_LIB_PATH > $out" ];
          outputs = [ "out" ]; # `nix develop` writes to what this names
        });
      });

      # With nixpkgs: `devShells.x86_64-linux.default = hoisted.lib.devShell pkgs { packages = [ … ]; };`
      lib.devShell = pkgs: arguments:
        let ours = libraryPath (ofPackages pkgs); in
        pkgs.mkShell (arguments // ours // {
          shellHook = ours.shellHook + arguments.shellHook or "";
        });

      overlays.default = final: prev: { ${name} = artifact (ofPackages final); };
    };
}
