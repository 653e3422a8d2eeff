"""Loading artifacts: their functions, several libraries, and every refusal."""

from __future__ import annotations

import ctypes
import pickle
import unittest
from array import array as numbers
from pathlib import Path
from typing import Any
from unittest import mock

import hoist_runtime
from hoist_runtime import (
    AbiInvalid,
    AmbiguousExport,
    ExportMissing,
    HoistError,
    LibraryNotFound,
    LoadFailed,
    WrongSystem,
    address,
)

from .support import (
    DOUBLE,
    FLOAT,
    I32,
    VOID,
    LoadCase,
    abi,
    bare,
    function,
    library,
    opaque,
    pointer,
    shared_library,
    struct,
    write_artifact,
)

SUM = """
#include <stdint.h>
double sum(const float *values, int32_t n) {
    double total = 0;
    for (int32_t i = 0; i < n; i++) total += values[i];
    return total;
}
void fill(float *values, int32_t n, float value) {
    for (int32_t i = 0; i < n; i++) values[i] = value;
}
"""
SUM_FUNCTIONS = [
    function("sum", DOUBLE, values=pointer(FLOAT, const=True), n=I32),
    function("fill", VOID, values=pointer(FLOAT), n=I32, value=FLOAT),
]


class Load(LoadCase):
    def test_a_function_is_called_with_the_types_of_its_header(self) -> None:
        promise = abi(library("lib/libsum.so", SUM_FUNCTIONS))
        built = {"lib/libsum.so": shared_library(SUM)}
        folder = self.root.add("demo", 3, promise, built)
        demo = hoist_runtime.load("demo", root=self.root.path)
        values = numbers("f", [1.0, 2.5, 3.0])
        self.assertEqual(demo.sum(address(values, ctypes.c_float), 3), 6.5)
        demo.fill(address(values, ctypes.c_float, writable=True), 3, 2.0)
        self.assertEqual(list(values), [2.0, 2.0, 2.0])
        self.assertEqual((demo.name, demo.generation, demo.path), ("demo", 3, folder))
        self.assertEqual(demo.store_path, f"/nix/store/{folder.name}")
        self.assertEqual(repr(demo), f"<Artifact demo generation 3 /nix/store/{folder.name}>")
        self.assertEqual(demo.abi.libraries[0].path, "lib/libsum.so")

    def test_an_artifact_outside_a_store_has_no_generation_and_no_store_path(self) -> None:
        opened = self.opened(SUM, SUM_FUNCTIONS)
        self.assertEqual((opened.name, opened.generation, opened.store_path), ("demo", None, None))
        self.assertEqual(repr(opened), f"<Artifact demo {opened.path}>")

    def test_an_opened_store_path_knows_its_logical_name(self) -> None:
        built = {"lib/liba.so": shared_library(SUM)}
        folder = self.root.add("demo", 1, abi(library("lib/liba.so", SUM_FUNCTIONS)), built)
        self.assertEqual(
            hoist_runtime.open_artifact(folder).store_path, f"/nix/store/{folder.name}"
        )

    def test_hoist_root_is_the_default_root(self) -> None:
        built = {"lib/liba.so": shared_library(SUM)}
        self.root.add("demo", 1, abi(library("lib/liba.so", SUM_FUNCTIONS)), built)
        with mock.patch.dict("os.environ", {"HOIST_ROOT": str(self.root.path)}):
            self.assertEqual(hoist_runtime.load("demo").generation, 1)

    def test_one_handle_per_real_path(self) -> None:
        first = self.opened(SUM, SUM_FUNCTIONS)
        link = self.folder / "link"
        link.symlink_to(first.path)
        second = hoist_runtime.open_artifact(link)
        places = [ctypes.cast(each.sum, ctypes.c_void_p).value for each in (first, second)]
        self.assertEqual(places[0], places[1])

    def test_types_set_on_one_artifact_stay_there(self) -> None:
        first = self.opened(SUM, SUM_FUNCTIONS)
        second = hoist_runtime.open_artifact(first.path)
        first.sum.restype = ctypes.c_int
        self.assertIs(second.sum.restype, ctypes.c_double)

    def test_a_function_without_a_signature_has_no_types(self) -> None:
        opened = self.opened(SUM, [bare("sum")])
        self.assertIsNone(opened.sum.argtypes)
        self.assertIs(opened.sum.restype, ctypes.c_int)

    def test_names_taken_by_the_artifact_are_in_functions(self) -> None:
        source = "int name(void) { return 1; } int load(void) { return 2; }"
        opened = self.opened(source, [function("name", I32), function("load", I32)])
        self.assertEqual(opened.name, "demo")
        self.assertEqual(opened.functions["name"](), 1)
        self.assertEqual(opened.load(), 2)

    def test_functions_are_listed_by_dir(self) -> None:
        self.assertIn("sum", dir(self.opened(SUM, SUM_FUNCTIONS)))


POINT = struct("point", 8, 4, x=(0, FLOAT), y=(4, FLOAT))


class SeveralLibraries(LoadCase):
    def write(self, *libraries: dict[str, Any], folder: str = "two") -> Path:
        one = shared_library("int f(void) { return 1; } int only_a(void) { return 10; }")
        two = shared_library("int f(void) { return 2; } int only_b(void) { return 20; }")
        built = {"lib/liba.so": one, "lib/libb.so": two}
        return write_artifact(self.folder / folder, abi(*libraries), built)

    def test_their_functions_are_together(self) -> None:
        folder = self.write(
            library("lib/liba.so", [function("only_a", I32)]),
            library("lib/libb.so", [function("only_b", I32), function("f", I32)]),
        )
        both = hoist_runtime.open_artifact(folder)
        self.assertEqual((both.only_a(), both.only_b(), both.f()), (10, 20, 2))

    def test_one_name_in_two_is_refused_unless_one_is_picked(self) -> None:
        folder = self.write(
            library("lib/liba.so", [function("f", I32), function("only_a", I32)]),
            library("lib/libb.so", [function("f", I32)]),
        )
        with self.refused(
            AmbiguousExport,
            "function `f` is ambiguous",
            "both `lib/liba.so` and `lib/libb.so` promise it",
            "library=",
        ):
            hoist_runtime.open_artifact(folder)
        for picked, answer in (("lib/liba.so", 1), ("libb.so", 2)):
            opened = hoist_runtime.open_artifact(folder, library=picked)
            self.assertEqual(opened.f(), answer)
        self.assertFalse(hasattr(opened, "only_a"))

    def test_a_library_that_is_not_there_is_named_with_the_nearest(self) -> None:
        folder = self.write(library("lib/liba.so", []), library("lib/libb.so", []))
        with self.refused(
            LibraryNotFound,
            "no library `lib/liba.s` in `demo`",
            "`lib/liba.so`, `lib/libb.so`",
            "did you mean `lib/liba.so`?",
        ):
            hoist_runtime.open_artifact(folder, library="lib/liba.s")

    def test_a_file_name_of_two_libraries_does_not_pick(self) -> None:
        promise = abi(library("lib/x.so", []), library("lib/v2/x.so", []))
        folder = write_artifact(self.folder / "two", promise)
        with self.refused(LibraryNotFound, "2 libraries have that path or file name"):
            hoist_runtime.open_artifact(folder, library="x.so")

    def test_structs_of_one_name_must_have_one_layout(self) -> None:
        point = struct("point", 8, 4, x=(0, I32), y=(4, I32))
        folder = self.write(
            library("lib/liba.so", [], [POINT]), library("lib/libb.so", [], [point])
        )
        with self.refused(AmbiguousExport, "struct `point` is ambiguous"):
            hoist_runtime.open_artifact(folder)

    def test_a_struct_is_taken_from_the_library_that_defines_it(self) -> None:
        declared, defined = opaque("point"), POINT
        cases = ((declared, defined), (defined, declared), (defined, defined))
        for number, (first, second) in enumerate(cases):
            folder = self.write(
                library("lib/liba.so", [], [first]),
                library("lib/libb.so", [], [second]),
                folder=f"case-{number}",
            )
            opened = hoist_runtime.open_artifact(folder)
            self.assertEqual(ctypes.sizeof(opened.structs["point"]), 8)


class Refusals(LoadCase):
    def test_an_unpromised_function_is_named_with_the_promised_and_the_nearest(self) -> None:
        opened = self.opened(SUM, SUM_FUNCTIONS)
        with self.refused(
            ExportMissing,
            "`demo` promises no function `summ`",
            f"where: {opened.path}\n",
            "it promises `sum`, `fill`",
            "did you mean `sum`?",
        ):
            opened.summ(1)

    def test_a_function_that_exists_but_is_not_promised_is_missing(self) -> None:
        self.assertFalse(hasattr(self.opened(SUM, SUM_FUNCTIONS[:1]), "fill"))

    def test_a_half_built_artifact_answers_instead_of_recursing(self) -> None:
        bare_object = hoist_runtime.Artifact.__new__(hoist_runtime.Artifact)
        self.assertFalse(hasattr(bare_object, "sum"))

    def test_a_promise_the_library_does_not_keep(self) -> None:
        with self.refused(
            ExportMissing,
            "`demo` promises `product` and does not have it",
            f"where: {self.folder / 'a/lib/liba.so'}\n",
            "undefined symbol: product",
            "`hoist check`",
        ):
            self.opened(SUM, [*SUM_FUNCTIONS, function("product", DOUBLE)])

    def test_a_library_that_is_not_there(self) -> None:
        folder = write_artifact(self.folder / "a", abi(library("lib/liba.so", [])))
        with self.refused(LoadFailed, "`liba.so` cannot be loaded", "it is not there"):
            hoist_runtime.open_artifact(folder)

    def test_a_library_that_is_none(self) -> None:
        text = self.folder / "text"
        text.write_text("this is no ELF file" * 100)
        promise = abi(library("lib/liba.so", []))
        folder = write_artifact(self.folder / "a", promise, {"lib/liba.so": text})
        with self.refused(LoadFailed, "the loader says: ", "invalid ELF header"):
            hoist_runtime.open_artifact(folder)

    def test_a_library_that_needs_what_nobody_has(self) -> None:
        source = "extern int nobody_has_this(void); int f(void) { return nobody_has_this(); }"
        with self.refused(LoadFailed, "undefined symbol: nobody_has_this", "`hoist check`"):
            self.opened(source, [function("f", I32)])

    def test_a_failed_load_is_tried_again(self) -> None:
        text = self.folder / "text"
        text.write_text("this is no ELF file")
        promise = abi(library("lib/liba.so", SUM_FUNCTIONS))
        folder = write_artifact(self.folder / "a", promise, {"lib/liba.so": text})
        with self.refused(LoadFailed):
            hoist_runtime.open_artifact(folder)
        write_artifact(folder, promise, {"lib/liba.so": shared_library(SUM)})
        self.assertEqual(hoist_runtime.open_artifact(folder).sum(None, 0), 0.0)

    def test_a_file_replaced_below_a_process_is_not_mixed_with_its_old_code(self) -> None:
        opened = self.opened(SUM, SUM_FUNCTIONS)
        file = opened.path / "lib/liba.so"
        fresh = self.folder / "fresh.so"
        fresh.write_bytes(shared_library("int sum(void) { return 3; }").read_bytes())
        fresh.replace(file)
        with self.refused(LoadFailed, "replaced after this process loaded it", "new process"):
            hoist_runtime.open_artifact(opened.path)

    def test_a_library_that_links_out_of_the_artifact(self) -> None:
        folder = write_artifact(self.folder / "a", abi(library("lib/liba.so", SUM_FUNCTIONS)))
        (folder / "lib").mkdir()
        (folder / "lib/liba.so").symlink_to(shared_library(SUM))
        with self.refused(AbiInvalid, "lies outside its artifact", "the artifact's hash"):
            hoist_runtime.open_artifact(folder)

    def test_a_library_that_links_inside_the_artifact_is_loaded(self) -> None:
        promise = abi(library("lib/liba.so", SUM_FUNCTIONS))
        built = {"lib/liba.so.1": shared_library(SUM)}
        folder = write_artifact(self.folder / "a", promise, built)
        (folder / "lib/liba.so").symlink_to("liba.so.1")
        self.assertEqual(hoist_runtime.open_artifact(folder).sum(None, 0), 0.0)

    def test_another_system_is_refused_before_anything_is_loaded(self) -> None:
        with self.refused(
            WrongSystem, "it is for `s390x-linux`, and this Python runs on `", "pull the artifact"
        ):
            self.opened(SUM, SUM_FUNCTIONS, system="s390x-linux")

    def test_every_error_is_a_hoist_error_and_crosses_a_pickle(self) -> None:
        opened = self.opened(SUM, SUM_FUNCTIONS)
        with self.assertRaises(HoistError) as caught:
            opened.summ()
        copy = pickle.loads(pickle.dumps(caught.exception))
        self.assertEqual((type(copy), str(copy)), (ExportMissing, str(caught.exception)))


if __name__ == "__main__":
    unittest.main()
