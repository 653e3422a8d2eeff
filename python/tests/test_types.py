"""Every type of an ABI file, called through ctypes: numbers, pointers, texts and structs."""

from __future__ import annotations

import ctypes
import unittest
from typing import Any

import hoist_runtime
from hoist_runtime import (
    AbiInvalid,
    address,
)

from .support import (
    BOOL,
    CHAR,
    DOUBLE,
    FLOAT,
    FUNCTION,
    I32,
    I64,
    VOID,
    LoadCase,
    abi,
    array,
    function,
    integer,
    library,
    opaque,
    pointer,
    shared_library,
    struct,
    struct_type,
    write_artifact,
)

TYPES = """
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
bool flip(bool x) { return !x; }
char next(char c) { return c + 1; }
int8_t i8(int8_t x) { return x; }      uint8_t u8(uint8_t x) { return x; }
int16_t i16(int16_t x) { return x; }   uint16_t u16(uint16_t x) { return x; }
int32_t i32(int32_t x) { return x; }   uint32_t u32(uint32_t x) { return x; }
int64_t i64(int64_t x) { return x; }   uint64_t u64(uint64_t x) { return x; }
float f32(float x) { return x / 2; }   double f64(double x) { return x / 2; }
void *same(void *p) { return p; }
const char *greet(const char *name) { return name ? "hello" : NULL; }
char *upper(char *text) { text[0] -= 32; return text; }
uint64_t length(const char *text) { return strlen(text); }
uint8_t first(const uint8_t *bytes) { return bytes[0]; }
int32_t apply(int32_t (*f)(int32_t), int32_t x) { return f(x); }
"""
TYPES_FUNCTIONS = [
    function("flip", BOOL, x=BOOL),
    function("next", CHAR, c=CHAR),
    *[
        function(f"{letter}{bits}", integer(bits, signed), x=integer(bits, signed))
        for bits in (8, 16, 32, 64)
        for letter, signed in (("i", True), ("u", False))
    ],
    function("f32", FLOAT, x=FLOAT),
    function("f64", DOUBLE, x=DOUBLE),
    function("same", pointer(VOID), p=pointer(VOID)),
    function("greet", pointer(CHAR, const=True), name=pointer(CHAR, const=True)),
    function("upper", pointer(CHAR), text=pointer(CHAR)),
    function("length", integer(64, False), text=pointer(CHAR, const=True)),
    function("first", integer(8, False), bytes=pointer(integer(8, False), const=True)),
    function("apply", I32, f=pointer(FUNCTION), x=I32),
]

STRUCTS = """
#include <stdint.h>
struct message { int32_t id; int64_t sent_ms; char tag[5]; float load[2][2]; };
struct pair { struct message *next; double weight; };
struct point { float x, y; };
struct box { struct point low, high; int64_t id; };
int64_t late(const struct message *m, int64_t ms) { return m->sent_ms + ms + m->tag[4]; }
void stamp(struct message *m) { m->id = 7; m->sent_ms = -1; m->load[1][0] = 0.5f; }
struct pair follow(struct pair p) { p.next->id++; p.weight *= 2; return p; }
struct point swap(struct point p) { struct point q = { p.y, p.x }; return q; }
struct box widen(struct box b, float by) { b.high.x += by; b.id++; return b; }
"""
MESSAGE = struct(
    "message",
    40,
    8,
    id=(0, I32),
    sent_ms=(8, I64),
    tag=(16, array(5, CHAR)),
    load=(24, array(2, array(2, FLOAT))),
)
POINT = struct("point", 8, 4, x=(0, FLOAT), y=(4, FLOAT))
PAIR = struct("pair", 16, 8, next=(0, pointer(struct_type("message"))), weight=(8, DOUBLE))
BOX = struct(
    "box", 24, 8, low=(0, struct_type("point")), high=(8, struct_type("point")), id=(16, I64)
)
STRUCTS_FUNCTIONS = [
    function("late", I64, m=pointer(struct_type("message"), const=True), ms=I64),
    function("stamp", VOID, m=pointer(struct_type("message"))),
    function("follow", struct_type("pair"), p=struct_type("pair")),
    function("swap", struct_type("point"), p=struct_type("point")),
    function("widen", struct_type("box"), b=struct_type("box"), by=FLOAT),
]


class Types(LoadCase):
    def setUp(self) -> None:
        super().setUp()
        self.types = self.opened(TYPES, TYPES_FUNCTIONS)

    def test_integers_keep_their_extremes(self) -> None:
        for bits in (8, 16, 32, 64):
            for value in (-(2 ** (bits - 1)), -1, 0, 2 ** (bits - 1) - 1):
                self.assertEqual(self.types.functions[f"i{bits}"](value), value)
            for value in (0, 1, 2**bits - 1):
                self.assertEqual(self.types.functions[f"u{bits}"](value), value)

    def test_floats_bools_and_chars(self) -> None:
        self.assertEqual((self.types.f32(3.0), self.types.f64(3.0)), (1.5, 1.5))
        self.assertIs(self.types.flip(False), True)
        self.assertEqual(self.types.next(b"a"), b"b")

    def test_texts_go_in_as_bytes_and_come_out_as_bytes(self) -> None:
        self.assertEqual(self.types.greet(b"Ada"), b"hello")
        self.assertIsNone(self.types.greet(None))
        self.assertEqual(self.types.length("größe".encode()), 7)
        with self.assertRaises(ctypes.ArgumentError):
            self.types.length("a str is not encoded")

    def test_a_text_the_library_may_change_is_memory_not_bytes(self) -> None:
        text = bytearray(b"ada\0")
        place = address(text, writable=True)
        self.assertEqual(self.types.upper(place), place)
        self.assertEqual(text, b"Ada\0")

    def test_data_pointers_take_all_that_has_an_address(self) -> None:
        data = bytearray(b"\x07\x08")
        whole = (ctypes.c_uint8 * 2).from_buffer(data)
        taken = (b"\x07", whole, ctypes.byref(whole), address(data), ctypes.addressof(whole))
        for each in (*taken, ctypes.cast(whole, ctypes.POINTER(ctypes.c_uint8))):
            self.assertEqual(self.types.first(each), 7)
        with self.assertRaises(ctypes.ArgumentError):
            self.types.first(1.5)

    def test_void_pointers_come_back_whole(self) -> None:
        for value in (1, 2**47, 2**64 - 1):
            self.assertEqual(self.types.same(value), value)
        self.assertIsNone(self.types.same(None))
        self.assertIsNone(self.types.same(0))

    def test_callbacks_are_pointers(self) -> None:
        double = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(lambda x: 2 * x)
        self.assertEqual(self.types.apply(double, 21), 42)

    def test_the_number_of_arguments_is_checked(self) -> None:
        with self.assertRaises(TypeError):
            self.types.i32()


class Structs(LoadCase):
    def setUp(self) -> None:
        super().setUp()
        self.made = self.opened(STRUCTS, STRUCTS_FUNCTIONS, [BOX, MESSAGE, PAIR, POINT])

    def test_fields_travel_both_ways_behind_a_pointer(self) -> None:
        message = self.made.structs["message"](id=1, sent_ms=2**40, tag=b"abcde")
        self.assertEqual(self.made.late(ctypes.byref(message), 5), 2**40 + 5 + ord("e"))
        self.made.stamp(ctypes.byref(message))
        self.assertEqual((message.id, message.sent_ms, message.load[1][0]), (7, -1, 0.5))

    def test_structs_are_passed_and_returned_by_value(self) -> None:
        message = self.made.structs["message"](id=41)
        pair = self.made.follow(self.made.structs["pair"](ctypes.addressof(message), 1.5))
        self.assertEqual((message.id, pair.weight), (42, 3.0))
        point = self.made.swap(self.made.structs["point"](1.0, 2.0))
        self.assertEqual((point.x, point.y), (2.0, 1.0))
        box = self.made.structs["box"]
        box = self.made.widen(box((1.0, 2.0), (3.0, 4.0), 9), 0.5)
        self.assertEqual((box.low.y, box.high.x, box.id), (2.0, 3.5, 10))

    def test_a_misspelt_field_is_refused(self) -> None:
        message = self.made.structs["message"]()
        with self.assertRaises(AttributeError):
            message.sent = 3

    def test_opaque_structs_have_no_class(self) -> None:
        router = pointer(struct_type("router"))
        source = "void *make(void) { return (void *)8; }"
        folder = write_artifact(
            self.folder / "b",
            abi(library("lib/b.so", [function("make", router)], [opaque("router")])),
            {"lib/b.so": shared_library(source)},
        )
        opened = hoist_runtime.open_artifact(folder)
        self.assertEqual((opened.structs, opened.make()), ({}, 8))

    def contradicts(self, bad: dict[str, Any], *fragments: str) -> None:
        folder = write_artifact(self.folder / "c", abi(library("lib/c.so", [], [bad])))
        with self.refused(AbiInvalid, f"struct `{bad['name']}` cannot be used", *fragments):
            hoist_runtime.open_artifact(folder)

    def test_a_layout_that_is_not_cs_is_refused(self) -> None:
        self.contradicts(
            struct("s", 12, 4, a=(0, I32), b=(4, I64)),
            "C puts its field `b` at byte 8, the file at 4",
            str(self.folder / "c/share/hoist/abi.json"),
        )
        self.contradicts(
            struct("s", 16, 16, a=(0, I32)),
            "C gives it size 4 and alignment 4, the file 16 and 16",
        )

    def test_fields_that_python_would_obey_are_refused(self) -> None:
        for name in ("_fields_", "_pack_", "_anonymous_", "__class__", "__init__", "__del__"):
            self.contradicts(struct("s", 4, 4, **{name: (0, I32)}), "a name Python reserves")

    def test_fields_named_like_python_keywords_and_attributes_work(self) -> None:
        fields = {"from": (0, I32), "offset": (4, I32), "self": (8, I32), "_x": (12, I32)}
        opened = self.opened(TYPES, [], [struct("s", 16, 4, **fields)], folder="c")
        made = opened.structs["s"](1, 2, 3, 4)
        self.assertEqual([getattr(made, name) for name in fields], [1, 2, 3, 4])

    def test_a_struct_of_a_gigabyte_costs_nothing(self) -> None:
        opened = self.opened(
            TYPES, [], [struct("s", 2**30, 1, a=(0, array(2**30, CHAR)))], folder="c"
        )
        self.assertEqual(ctypes.sizeof(opened.structs["s"]), 2**30)


if __name__ == "__main__":
    unittest.main()
