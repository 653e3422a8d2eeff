"""Switching while processes run, and many threads at once."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import hoist_runtime

from .support import (
    I32,
    PYTHON_DIR,
    TestCase,
    abi,
    function,
    library,
    run_python,
    shared_library,
)

ASK = """
import sys, hoist_runtime
demo = hoist_runtime.load("demo", root=sys.argv[1])
print(demo.generation, demo.version(), flush=True)
"""

# Prints what it loaded, waits for a line, and prints what that object calls then.
ASK_TWICE = ASK + "sys.stdin.readline()\nprint(demo.generation, demo.version())\n"


class Generations(TestCase):
    def ship(self, number: int) -> None:
        """Adds a generation whose `version` returns its number, and switches to it."""
        built = shared_library(f"int version(void) {{ return {number}; }}")
        promise = abi(library("lib/libdemo.so", [function("version", I32)]))
        self.root.add("demo", number, promise, {"lib/libdemo.so": built})

    def test_a_running_process_keeps_its_generation_and_a_new_one_gets_the_new(self) -> None:
        self.ship(1)
        with subprocess.Popen(
            [sys.executable, "-c", ASK_TWICE, str(self.root.path)],
            env={"PYTHONPATH": str(PYTHON_DIR)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdin is not None and running.stdout is not None
            self.assertEqual(running.stdout.readline(), "1 1\n")
            self.ship(2)
            self.assertEqual(run_python("-c", ASK, str(self.root.path)), "2 2\n")
            running.stdin.write("\n")
            running.stdin.close()
            self.assertEqual(running.stdout.read(), "1 1\n")
        self.root.switch("demo", 1)
        self.assertEqual(run_python("-c", ASK, str(self.root.path)), "1 1\n")

    def test_one_process_may_hold_two_generations_side_by_side(self) -> None:
        self.ship(1)
        old = hoist_runtime.load("demo", root=self.root.path)
        self.ship(2)
        new = hoist_runtime.load("demo", root=self.root.path)
        self.assertEqual((old.version(), new.version()), (1, 2))

    def test_a_load_during_switches_never_mixes_two_generations(self) -> None:
        self.ship(1)
        self.ship(2)
        done = threading.Event()

        def switch() -> None:
            while not done.is_set():
                self.root.switch("demo", 1)
                self.root.switch("demo", 2)

        switching = threading.Thread(target=switch)
        switching.start()
        seen: set[int | None] = set()
        try:
            ends = time.monotonic() + 20
            while len(seen) < 2 and time.monotonic() < ends:
                for _ in range(100):
                    demo = hoist_runtime.load("demo", root=self.root.path)
                    self.assertEqual(demo.generation, demo.version())
                    seen.add(demo.generation)
        finally:
            done.set()
            switching.join()
        self.assertEqual(seen, {1, 2})

    def test_threads_that_load_at_once_share_one_handle(self) -> None:
        self.ship(1)
        start = threading.Barrier(16)

        def load(_: int) -> tuple[int, int | None]:
            start.wait()
            demo = hoist_runtime.load("demo", root=self.root.path)
            return demo.version(), ctypes.cast(demo.version, ctypes.c_void_p).value

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(load, range(16)))
        self.assertEqual(len(set(answers)), 1)
        self.assertEqual(answers[0][0], 1)


if __name__ == "__main__":
    unittest.main()
