"""The ABI file: what is read from it, and what is refused."""

from __future__ import annotations

import json
import os
import time
import unittest
from typing import Any
from unittest import mock

from hoist_runtime import AbiInvalid, AbiMissing, open_artifact, parse
from hoist_runtime.abi import AbiFile, Int, Pointer, Struct
from hoist_runtime.parse import parse_abi, read_abi

from .support import (
    CHAR,
    DOUBLE,
    FLOAT,
    FUNCTION,
    I32,
    I64,
    VOID,
    TestCase,
    abi,
    array,
    bare,
    function,
    integer,
    library,
    opaque,
    pointer,
    struct,
    struct_type,
    write_artifact,
)


def parsed(value: Any) -> AbiFile:
    return parse_abi(json.dumps(value).encode(), "abi.json")


def of_function(result: Any, **parameters: Any) -> dict[str, Any]:
    return abi(library("lib/a.so", [function("f", result, **parameters)], [opaque("router")]))


def of_structs(*structs: Any) -> dict[str, Any]:
    return abi(library("lib/a.so", [], list(structs)))


class WellFormed(unittest.TestCase):
    def test_every_field_is_read(self) -> None:
        message = struct("message", 16, 8, id=(0, I32), sent=(8, I64))
        router = opaque("router")
        route = function("route", I32, router=pointer(struct_type("router")))
        file = parsed(abi(library("lib/a.so", [route, bare("old")], [message, router])))
        self.assertEqual((file.edition, file.package, file.version), (1, "demo", "0.1.0"))
        (found,) = file.libraries
        self.assertEqual(found.path, "lib/a.so")
        self.assertEqual(len(found.hash), 64)
        self.assertEqual([each.offset for each in found.structs[0].fields], [0, 8])
        self.assertTrue(found.structs[1].is_opaque)
        signature = found.functions[0].signature
        assert signature is not None
        self.assertEqual(signature.result, Int(32, True))
        self.assertEqual(signature.parameters[0].type, Pointer(False, Struct("router")))
        self.assertIsNone(found.functions[1].signature)

    def test_unknown_keys_and_an_absent_signature_are_accepted(self) -> None:
        file = abi({**library("lib/a.so", [{"name": "f", "since": "2.0"}]), "soname": "a"})
        self.assertIsNone(parsed({**file, "comment": [1]}).libraries[0].functions[0].signature)

    def test_a_struct_may_point_to_itself(self) -> None:
        node = struct("node", 8, 8, next=(0, pointer(struct_type("node"))))
        self.assertEqual(len(parsed(of_structs(node)).libraries[0].structs), 1)

    def test_declarations_are_written_as_c(self) -> None:
        cases = {
            "void f(void)": of_function(VOID),
            "double f(const float *query, int32_t n)": of_function(
                DOUBLE, query=pointer(FLOAT, const=True), n=I32
            ),
            "void *f(struct router *)": of_function(
                pointer(VOID), **{"": pointer(struct_type("router"))}
            ),
            "uint8_t f(char *const *names)": of_function(
                integer(8, False), names=pointer(pointer(CHAR), const=True)
            ),
            "const char *f(const char **out)": of_function(
                pointer(CHAR, const=True), out=pointer(pointer(CHAR, const=True))
            ),
            "int64_t f(void (*done)())": of_function(I64, done=pointer(FUNCTION)),
            "void f(const double (*rows)[4])": of_function(
                VOID, rows=pointer(array(4, DOUBLE), const=True)
            ),
        }
        for wanted, value in cases.items():
            with self.subTest(wanted):
                self.assertEqual(parsed(value).libraries[0].functions[0].declaration(), wanted)


class Refused(TestCase):
    def refuse(self, value: Any, *fragments: str) -> None:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        with self.refused(AbiInvalid, "where: abi.json\n", "`hoist ship`", *fragments):
            parse_abi(text, "abi.json")

    def test_what_is_not_json(self) -> None:
        for text in (b"", b"{", b"\xff\xfe", b"nonsense", b'{"a": 1} x', b"\0" * 100):
            with self.subTest(text):
                self.refuse(text)

    def test_another_edition(self) -> None:
        self.refuse(abi(edition=2), "has edition 2, and this hoist_runtime reads 1")
        self.refuse(abi(edition=0), "has edition 0")

    def test_wrong_kinds_of_json_values(self) -> None:
        good = abi(library("lib/a.so", [function("f", I32)], [struct("s", 4, 4, a=(0, I32))]))
        wrong: tuple[Any, ...] = (
            None,
            True,
            1,
            -1,
            "",
            "é",
            "a\nb",
            [],
            {},
            [1],
            [None],
            [[]],
            {"a": 1},
            2**63,
        )

        def places(value: Any) -> list[tuple[Any, Any]]:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            found = [(value, key) for key, _ in pairs]
            for _, inner in value.items() if isinstance(value, dict) else enumerate(value):
                found += places(inner) if isinstance(inner, (dict, list)) else []
            return found

        tried = 0
        for index in range(len(places(good))):
            for bad in wrong:
                copy = json.loads(json.dumps(good))
                holder, key = places(copy)[index]
                holder[key] = bad
                tried += 1
                try:
                    self.assertIsInstance(parsed(copy), AbiFile)
                except AbiInvalid:
                    continue  # refused in good order, as most are
        self.assertGreater(tried, 400)

    def test_each_missing_key_is_named(self) -> None:
        for key in ("edition", "package", "version", "system", "libraries"):
            value = abi()
            del value[key]
            self.refuse(value, f"the top level has no `{key}`")
        for key in ("path", "hash", "structs", "functions"):
            part = library("lib/a.so", [])
            del part[key]
            self.refuse(abi(part), f"libraries[0] has no `{key}`")

    def test_the_place_of_the_fault_is_named(self) -> None:
        self.refuse(
            of_function(I32, a=I32, b={"kind": "int", "bits": 24, "signed": True}),
            "libraries[0].functions[0].signature.parameters[1].type.bits is 24, not one of 8, 16,"
            " 32, 64",
        )
        self.refuse([], "the top level is not an object")

    def test_a_key_given_twice(self) -> None:
        self.refuse(b'{"edition": 1, "edition": 1}', "the same key twice")

    def test_numbers_that_are_no_small_integers(self) -> None:
        for number in ("1.0", "1e3", "NaN", "Infinity", "-Infinity"):
            self.refuse(f'{{"edition": {number}}}'.encode(), "is not an integer")
        self.refuse(b'{"edition": ' + b"9" * 1_000_000 + b"}", "is too large")
        self.refuse(abi(edition=True), "edition is `true`, not an integer")
        self.refuse(abi(edition=-1), "edition is `-1`")

    def test_deep_nesting(self) -> None:
        for text in (b"[" * 1_000_000, b'{"a":' * 200_000, b"[" * 90_000 + b"]" * 90_000):
            self.refuse(text)
        kind: Any = I32
        for _ in range(33):
            kind = pointer(kind)
        self.refuse(of_function(kind), "is nested more than 32 deep")

    def test_a_file_that_is_too_large(self) -> None:
        with mock.patch.object(parse, "MAX_FILE_BYTES", 100):
            self.refuse(b" " * 101, "larger than 100 bytes")

    def test_a_library_outside_the_artifact(self) -> None:
        for path in ("/lib/a.so", "../a.so", "lib/../../a.so", "lib//a.so", "./a.so", "lib/"):
            self.refuse(abi(library(path, [])), "does not stay inside the artifact")
        for path in ("", "a\0b", "a\nb"):
            self.refuse(abi(library(path, [])), "path is ")

    def test_a_hash_that_is_none(self) -> None:
        for digest in ("", "0" * 63, "A" * 64, "g" * 64):
            self.refuse(abi({**library("a", []), "hash": digest}), "not a SHA-256 in base16")

    def test_a_promise_that_was_edited(self) -> None:
        part = library("a", [function("f", I32, a=I32)])
        part["functions"][0]["signature"]["result"] = I64
        self.refuse(abi(part), "libraries[0] has a hash that is not of its `structs` and")

    def test_names_given_twice(self) -> None:
        self.refuse(abi(library("a", [bare("f"), bare("f")])), "a second function `f`")
        self.refuse(of_structs(opaque("s"), opaque("s")), "a second struct `s`")
        twice = struct("s", 8, 4, a=(0, I32))
        twice["fields"] *= 2
        self.refuse(of_structs(twice), "a second field `a`")

    def test_kinds_where_c_does_not_allow_them(self) -> None:
        self.refuse(of_function(I32, a=VOID), "kind `void`, which C does not allow for a parameter")
        self.refuse(of_function(array(2, I32)), "kind `array`, which C does not allow for a result")
        self.refuse(of_function(I32, a=array(2, I32)), "`array`, which C does not allow")
        self.refuse(of_function(FUNCTION), "`function`, which C does not allow for a result")
        self.refuse(of_structs(struct("s", 4, 4, a=(0, VOID))), "not allow for a field")
        self.refuse(of_structs(struct("s", 4, 4, a=(0, array(1, VOID)))), "for a element")
        self.refuse(of_function({"kind": "vector"}), "is of the unknown kind `vector`")

    def test_structs_that_are_not_there_or_have_no_layout(self) -> None:
        self.refuse(of_function(I32, a=struct_type("gone")), "does not list")
        self.refuse(of_function(pointer(struct_type("gone"))), "does not list")
        self.refuse(of_function(struct_type("router")), "holds struct `router` by value")

    def test_structs_that_contain_themselves(self) -> None:
        def holds(name: str, other: str) -> Any:
            return struct(name, 8, 8, inner=(0, array(1, struct_type(other))))

        self.refuse(of_structs(holds("a", "a")), "a struct `a` that contains itself")
        self.refuse(of_structs(holds("a", "b"), holds("b", "c"), holds("c", "a")), "itself")

    def test_structs_that_are_nested_too_deeply(self) -> None:
        names = [f"s{i}" for i in range(5000)]
        chain = [struct(names[-1], 8, 8, a=(0, I64))]
        chain += [
            struct(name, 8, 8, a=(0, struct_type(inner))) for name, inner in zip(names, names[1:])
        ]
        for order in (chain, chain[::-1]):
            self.refuse(of_structs(*order), "nested more than 32 deep")
        # Each holds the one below it twice: 2^30 ways down, walked once.
        wide = [struct("w0", 8, 8, a=(0, I64))]
        for level in range(1, 31):
            below = struct_type(f"w{level - 1}")
            size = 8 << level
            wide.append(struct(f"w{level}", size, 8, a=(0, below), b=(size // 2, below)))
        self.refuse(of_structs(*wide), "not an integer from 0 to 1073741824")
        self.assertEqual(len(parsed(of_structs(*wide[:28])).libraries[0].structs), 28)

    def test_structs_that_contradict_themselves(self) -> None:
        self.refuse(of_structs(struct("s", 4, 4, a=(4, I32))), "ends after the struct's 4 bytes")
        self.refuse(of_structs(struct("s", 4, 4, a=(5, I32))), "not an integer from 0 to 4")
        self.refuse(of_structs(struct("s", 8, 8, a=(0, array(2**30, I64)))), "ends after")
        self.refuse(of_structs(struct("s", 4, 4)), "all of `size`, `align` and `fields`, or none")
        self.refuse(of_structs(struct("s", 0, 4)), "or none of them")
        self.refuse(of_structs(struct("s", 2**40, 4)), "not an integer from 0 to 1073741824")

    def test_arrays_without_bytes_however_many(self) -> None:
        empty = array(2**30, array(0, I32))
        self.refuse(of_structs(struct("s", 4, 4, a=(0, empty))), "has elements of 0 bytes")

    def test_too_many_parameters(self) -> None:
        self.refuse(of_function(I32, **{f"p{i}": I32 for i in range(257)}), "more than 256")

    def test_random_damage_is_parsed_or_refused_in_good_time(self) -> None:
        text = json.dumps(
            abi(
                library(
                    "lib/a.so",
                    [function("f", I32, a=pointer(struct_type("s")), b=struct_type("s"))],
                    [struct("s", 16, 8, id=(0, I32), name=(4, array(4, CHAR)), at=(8, I64))],
                )
            )
        ).encode()
        started = time.monotonic()
        for index in range(len(text)):
            for change in (b"", b"9", b'"', b"[", b"}", b"\xff", b"null"):
                damaged = text[:index] + change + text[index + 1 :]
                try:
                    parse_abi(damaged, "abi.json")
                except AbiInvalid:
                    continue
        self.assertLess(time.monotonic() - started, 30)


class Reading(TestCase):
    def test_an_artifact_without_the_file(self) -> None:
        place = self.folder / "share/hoist/abi.json"
        with self.refused(AbiMissing, "has no ABI file", f"where: {place}\n", "`hoist ship`"):
            open_artifact(self.folder)

    def test_a_file_in_place_of_the_artifact(self) -> None:
        (self.folder / "file").write_text("")
        with self.refused(AbiMissing, "the artifact `file` has no ABI file"):
            open_artifact(self.folder / "file")

    def test_a_pipe_is_refused_and_not_waited_for(self) -> None:
        place = self.folder / "share/hoist/abi.json"
        place.parent.mkdir(parents=True)
        os.mkfifo(place)
        with self.refused(AbiInvalid, "it cannot be read (Not a regular file)"):
            read_abi(self.folder)

    def test_a_folder_is_refused(self) -> None:
        (self.folder / "share/hoist/abi.json").mkdir(parents=True)
        with self.refused(AbiInvalid, "it cannot be read (Is a directory)"):
            read_abi(self.folder)

    def test_an_endless_file_is_not_read_to_its_end(self) -> None:
        place = self.folder / "share/hoist/abi.json"
        place.parent.mkdir(parents=True)
        with place.open("wb") as file:
            file.truncate(1 << 40)  # sparse
        with self.refused(AbiInvalid, "larger than 16777216 bytes"):
            read_abi(self.folder)

    def test_a_good_file_is_read(self) -> None:
        write_artifact(self.folder, abi())
        self.assertEqual(read_abi(self.folder).package, "demo")


if __name__ == "__main__":
    unittest.main()
