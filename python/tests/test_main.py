"""`python3 -m hoist_runtime`."""

from __future__ import annotations

import contextlib
import io
import json
import unittest

import hoist_runtime
from hoist_runtime.__main__ import main

from .support import (
    DOUBLE,
    FLOAT,
    I32,
    TestCase,
    abi,
    bare,
    function,
    library,
    pointer,
    run_python,
)


class Main(TestCase):
    def setUp(self) -> None:
        super().setUp()
        search = function("search", DOUBLE, query=pointer(FLOAT, const=True), n=I32)
        parts = library("lib/liba.so", [search, bare("old")])
        self.artifact = self.root.add("demo", 2, abi(parts))

    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        """Returns exit code, standard output and standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*arguments, "--root", str(self.root.path)])
        return code, out.getvalue(), err.getvalue()

    def test_prints_what_is_active_as_c(self) -> None:
        wanted = (
            "demo 0.1.0, generation 2\n"
            f"  {self.artifact}\n"
            "  lib/liba.so\n"
            "    double search(const float *query, int32_t n)\n"
            "    old: no signature is promised\n"
        )
        self.assertEqual(self.run_main("demo"), (0, wanted, ""))
        self.assertEqual(self.run_main(), (0, wanted, ""))

    def test_prints_a_record_per_package(self) -> None:
        self.root.add("other", 1, abi())
        code, out, err = self.run_main("--json")
        demo, other = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((code, err, other["package"]), (0, "", "other"))
        self.assertEqual(demo["generation"], 2)
        self.assertEqual(demo["store_path"], f"/nix/store/{self.artifact.name}")
        self.assertEqual(
            demo["libraries"][0]["functions"],
            [
                {
                    "name": "search",
                    "declaration": "double search(const float *query, int32_t n)",
                },
                {"name": "old", "declaration": None},
            ],
        )

    def test_a_missing_package_answers_no(self) -> None:
        code, out, err = self.run_main("demos")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("error: no package `demos`", err)
        self.assertIn("did you mean `demo`?", err)

    def test_a_wrong_name_is_wrong_usage(self) -> None:
        self.assertEqual(self.run_main("a/b")[0], 2)

    def test_a_broken_profile_does_not_hide_the_others(self) -> None:
        self.root.link("broken", "broken-1-link")
        code, out, err = self.run_main()
        self.assertEqual(code, 3)
        self.assertIn("demo 0.1.0", out)
        self.assertIn("error: the profile of package `broken` is broken", err)

    def test_an_empty_root_is_said_to_be_empty(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stderr(out):
            self.assertEqual(main(["--root", str(self.folder / "nowhere")]), 0)
        self.assertIn("no packages: ", out.getvalue())

    def test_the_module_runs(self) -> None:
        text = run_python("-m", "hoist_runtime", "--version")
        self.assertEqual(text, f"hoist_runtime {hoist_runtime.__version__}\n")


if __name__ == "__main__":
    unittest.main()
