"""From a name to a generation: roots, links, and everything that can be wrong with them."""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from unittest import mock

import hoist_runtime
from hoist_runtime import InvalidName, PackageNotFound, ProfileBroken
from hoist_runtime.profile import active_generation, find_root, profile_names, store_path_of

from .support import TestCase, abi


class FindRoot(unittest.TestCase):
    def root(self, argument: str | None = None, **environment: str) -> str:
        with mock.patch.dict(os.environ, environment, clear=True):
            return str(find_root(argument))

    def test_the_argument_wins_over_every_variable(self) -> None:
        self.assertEqual(self.root("/a", HOIST_ROOT="/b", XDG_DATA_HOME="/c", HOME="/d"), "/a")

    def test_then_comes_hoist_root(self) -> None:
        self.assertEqual(self.root(HOIST_ROOT="/b", XDG_DATA_HOME="/c", HOME="/d"), "/b")

    def test_then_the_data_home(self) -> None:
        self.assertEqual(self.root(XDG_DATA_HOME="/c", HOME="/d"), "/c/hoist")

    def test_then_its_default_below_home(self) -> None:
        self.assertEqual(self.root(HOME="/d"), "/d/.local/share/hoist")

    def test_an_empty_variable_counts_as_unset(self) -> None:
        self.assertEqual(
            self.root(HOIST_ROOT="", XDG_DATA_HOME="", HOME="/d"), "/d/.local/share/hoist"
        )

    def test_a_relative_data_home_is_ignored_as_xdg_says(self) -> None:
        self.assertEqual(self.root(XDG_DATA_HOME="here", HOME="/d"), "/d/.local/share/hoist")

    def test_a_relative_root_is_made_absolute(self) -> None:
        self.assertEqual(self.root("here/../there"), os.path.abspath("there"))


class ActiveGeneration(TestCase):
    def test_follows_both_links_to_the_store_path_below_the_root(self) -> None:
        folder = self.root.add("demo", 1, abi())
        found = active_generation("demo", self.root.path)
        self.assertEqual((found.name, found.number, found.path), ("demo", 1, folder))
        self.assertEqual(found.store_path, f"/nix/store/{folder.name}")

    def test_the_newest_switch_is_active_not_the_highest_number(self) -> None:
        for number in (1, 2, 10):
            self.root.add("demo", number, abi())
        self.root.switch("demo", 2)
        self.assertEqual(active_generation("demo", self.root.path).number, 2)

    def test_the_logical_target_is_the_physical_one_when_the_root_is_slash(self) -> None:
        target = self.root.store_path("demo-0.1.0", 1)
        links = mock.patch("os.readlink", side_effect=["demo-1-link", target])
        with links, self.refused(ProfileBroken, f"where: {target}\n", "it is not there"):
            active_generation("demo", Path("/"))

    def test_a_generation_collected_between_the_two_links_is_looked_up_again(self) -> None:
        self.root.add("demo", 2, abi())
        real, seen = os.readlink, []

        def readlink(path: os.PathLike[str]) -> str:
            seen.append(Path(path).name)
            return "demo-1-link" if len(seen) == 1 else real(path)

        with mock.patch("os.readlink", readlink):
            self.assertEqual(active_generation("demo", self.root.path).number, 2)
        self.assertEqual(seen, ["demo", "demo-1-link", "demo", "demo-2-link"])

    def test_a_missing_package_names_the_root_the_profiles_and_the_nearest(self) -> None:
        self.root.add("pattern-search", 1, abi())
        self.root.add("message-router", 3, abi())
        with self.refused(
            PackageNotFound,
            "no package `pattern-serch`",
            f"root `{self.root.path}`",
            "its profiles: `message-router`, `pattern-search`",
            "did you mean `pattern-search`?",
            "`hoist ship`",
        ):
            hoist_runtime.load("pattern-serch", root=self.root.path)

    def test_a_missing_package_is_a_lookup_error(self) -> None:
        with self.assertRaises(LookupError):
            hoist_runtime.load("demo", root=self.root.path)

    def test_a_root_that_does_not_exist_has_no_profiles(self) -> None:
        with self.refused(PackageNotFound, "its profiles: none"):
            hoist_runtime.load("demo", root=self.folder / "nowhere")

    def test_a_root_that_is_a_file_has_no_profiles(self) -> None:
        (self.folder / "file").write_text("")
        with self.refused(PackageNotFound, "its profiles: none"):
            hoist_runtime.load("demo", root=self.folder / "file")

    def test_a_long_list_of_profiles_is_cut_and_counted(self) -> None:
        for number in range(30):
            self.root.link(f"package{number:02}", f"package{number:02}-1-link")
        with self.refused(PackageNotFound, "`package19` and 10 more\n"):
            hoist_runtime.load("other", root=self.root.path)

    def test_names_that_could_leave_the_folder_or_are_links_are_refused(self) -> None:
        names = ("", ".", "..", "a/b", "../demo", "/demo", ".demo", "a\0b", "a b", "demo-1-link")
        for name in (*names, "demo\n", "x" * 212, "dëmo", None, b"demo", 7):
            with self.subTest(name=name), self.refused(InvalidName, "cannot be the name"):
                hoist_runtime.load(name, root=self.root.path)  # type: ignore[arg-type]

    def test_an_invalid_name_is_a_value_error(self) -> None:
        with self.assertRaises(ValueError):
            hoist_runtime.load("a/b", root=self.root.path)

    def test_a_name_that_starts_another_package_is_not_it(self) -> None:
        self.root.add("demo-extra", 1, abi())
        with self.refused(PackageNotFound, "its profiles: `demo-extra`\n"):
            hoist_runtime.load("demo", root=self.root.path)


class BrokenProfile(TestCase):
    def broken(self, *fragments: str) -> None:
        with self.refused(ProfileBroken, "`demo` is broken", "hoist rollback demo", *fragments):
            hoist_runtime.load("demo", root=self.root.path)

    def test_a_profile_that_is_a_folder(self) -> None:
        (self.root.profiles / "demo").mkdir()
        self.broken("cannot be read as a link")

    def test_a_profile_that_points_to_no_generation(self) -> None:
        targets = ("elsewhere", "demo-0-link", "demo-01-link", "demo--1-link", "demo-1-link/")
        for target in (
            *targets,
            "dema-1-link",
            "../x/demo-1-link",
            "demo-1-link\n",
            "demo-¹-link",
        ):
            with self.subTest(target=target):
                self.root.link("demo", target)
                self.broken("not to `demo-N-link`", f"where: {self.root.profiles / 'demo'}\n")

    def test_a_huge_generation_number(self) -> None:
        self.root.link("demo", f"demo-{'9' * 200}-link")
        self.broken("not to `demo-N-link`")

    def test_a_profile_that_points_to_itself(self) -> None:
        self.root.link("demo", "demo")
        self.broken("points to `demo`")

    def test_a_generation_link_that_does_not_exist(self) -> None:
        self.root.link("demo", "demo-1-link")
        self.broken(f"where: {self.root.profiles / 'demo-1-link'}\n", "does not exist")

    def test_a_generation_outside_the_store(self) -> None:
        inside = self.root.store_path("demo", 1)
        targets = ("/etc", "relative", "/nix/store", "/nix/store/..", f"{inside}/lib", "/")
        upper = inside.replace("/nix/store/", "/nix/store/E", 1)
        for target in (*targets, inside + "/../x", inside[1:], upper, "/nix/store/short-demo"):
            with self.subTest(target=target):
                self.root.link("demo-1-link", target)
                self.root.link("demo", "demo-1-link")
                self.broken(f"points to `{target}`", "not `/nix/store/HASH-NAME`")

    def test_a_generation_that_was_collected(self) -> None:
        self.root.link("demo-1-link", self.root.store_path("demo", 1))
        self.root.link("demo", "demo-1-link")
        self.broken("it is not there")

    def test_a_store_path_that_is_a_file_or_a_link(self) -> None:
        logical = self.root.store_path("demo", 1)
        self.root.link("demo-1-link", logical)
        self.root.link("demo", "demo-1-link")
        self.root.physical(logical).write_text("")
        self.broken("it is not a folder")
        self.root.physical(logical).unlink()
        self.root.physical(logical).symlink_to(self.folder)
        self.broken("it is not a folder")

    def test_a_hostile_target_cannot_steer_the_terminal(self) -> None:
        self.root.link("demo", "\x1b[2Jdemo-1-link")
        self.broken(r"points to `\x1b[2Jdemo-1-link`")

    def test_a_profile_this_user_may_not_read(self) -> None:
        denied = PermissionError(13, "Permission denied")
        with mock.patch("os.readlink", side_effect=denied):
            self.broken("this user may not read it (Permission denied)")


class Names(TestCase):
    def test_lists_profiles_without_their_generations(self) -> None:
        self.root.add("b", 1, abi())
        self.root.add("a", 12, abi())
        (self.root.profiles / "per-user").mkdir()
        self.assertEqual(profile_names(self.root.path), ["a", "b"])

    def test_a_folder_in_a_store_has_a_store_path(self) -> None:
        logical = self.root.store_path("demo", 1)
        self.assertEqual(store_path_of(self.root.physical(logical)), logical)
        self.assertIsNone(store_path_of(self.root.physical(logical) / "lib"))
        self.assertIsNone(store_path_of(Path("/tmp/demo")))


if __name__ == "__main__":
    unittest.main()
