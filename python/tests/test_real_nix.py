"""Profiles that real Nix wrote."""

from __future__ import annotations

import os
import subprocess
import unittest

import hoist_runtime

from .support import I32, TestCase, abi, function, library, shared_library, tool, write_artifact


class RealNix(TestCase):
    def test_a_profile_set_by_nix_env_is_loaded(self) -> None:
        nix_store, nix_env = tool("nix-store", "nix-bin"), tool("nix-env", "nix-bin")
        root = self.folder / "nix-root"
        root.mkdir()
        # Nix makes its store read-only, and the temporary folder could not be removed.
        self.addCleanup(subprocess.run, ["chmod", "-R", "u+w", str(root)], check=True)
        profile = root / "nix/var/nix/profiles/demo"
        for number in (1, 2):
            built = shared_library(f"int version(void) {{ return {number}; }}")
            promise = abi(library("lib/libdemo.so", [function("version", I32)]))
            folder = write_artifact(self.folder / "demo-0.1.0", promise, {"lib/libdemo.so": built})
            added = self.nix(nix_store, "--store", f"local?root={root}", "--add", str(folder))
            set_to = ("-p", str(profile), "--set", added)
            self.nix(nix_env, "--store", f"local?root={root}", *set_to)
            loaded = hoist_runtime.load("demo", root=root)
            self.assertEqual(
                (loaded.generation, loaded.store_path, loaded.version()), (number, added, number)
            )

    def nix(self, *command: str) -> str:
        """Runs a Nix command in a home of its own and returns what it prints."""
        done = subprocess.run(
            command,
            env={**os.environ, "HOME": str(self.folder)},
            capture_output=True,
            check=False,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()


if __name__ == "__main__":
    unittest.main()
