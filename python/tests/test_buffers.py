"""Addresses of buffers: what has one, and what is refused."""

from __future__ import annotations

import ctypes
import doctest
import mmap
import unittest
from array import array
from typing import Any

from hoist_runtime import BufferRefused, address, buffers

from .support import TestCase, module


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_float), ("y", ctypes.c_float)]


class Address(TestCase):
    def read(self, buffer: Any, size: int) -> bytes:
        return ctypes.string_at(address(buffer), size)

    def test_writable_and_read_only_memory_is_read_where_it_lies(self) -> None:
        for buffer in (b"abc", bytearray(b"abc"), memoryview(b"xabc")[1:], array("b", b"abc")):
            self.assertEqual(self.read(buffer, 3), b"abc")
        with mmap.mmap(-1, 4096) as pages:
            pages[:3] = b"abc"
            self.assertEqual(self.read(pages, 3), b"abc")

    def test_it_is_the_address_ctypes_knows(self) -> None:
        values = (ctypes.c_double * 3)(1, 2, 3)
        self.assertEqual(address(values, ctypes.c_double), ctypes.addressof(values))
        point = Point(1, 2)
        self.assertEqual(address(point, Point), ctypes.addressof(point))

    def test_the_object_is_free_again_afterwards(self) -> None:
        data = bytearray(b"abc")
        address(data, writable=True)
        data.append(1)  # a held buffer would refuse to grow
        self.assertEqual(len(data), 4)

    def test_an_empty_buffer_is_no_error(self) -> None:
        self.assertIsInstance(address(b""), int)
        self.assertIsInstance(address(array("f"), ctypes.c_float), int)

    def test_matching_elements_are_accepted(self) -> None:
        for code, ctype in (
            ("f", ctypes.c_float),
            ("d", ctypes.c_double),
            ("b", ctypes.c_int8),
            ("B", ctypes.c_uint8),
            ("h", ctypes.c_int16),
            ("i", ctypes.c_int32),
            ("q", ctypes.c_int64),
            ("l", ctypes.c_int64),
            ("Q", ctypes.c_uint64),
            ("L", ctypes.c_uint64),
        ):
            with self.subTest(code):
                address(array(code, [1]), ctype)

    def test_other_elements_are_refused(self) -> None:
        for buffer, ctype in (
            (array("d", [1]), ctypes.c_float),
            (array("i", [1]), ctypes.c_float),
            (array("I", [1]), ctypes.c_int32),
            (array("q", [1]), ctypes.c_double),
            (b"abcd", ctypes.c_float),
            (b"abcd", ctypes.c_bool),
            (array("d", [1]), Point),
            ((ctypes.c_float.__ctype_be__ * 1)(1), ctypes.c_float),
            ((Point * 2)(), ctypes.c_double),
        ):
            with self.subTest(buffer=buffer), self.refused(BufferRefused, "its elements are `"):
                address(buffer, ctype)

    def test_the_refusal_names_both_types(self) -> None:
        with self.refused(
            BufferRefused,
            "memory of this `array`",
            "its elements are `d` of 8 bytes, wanted `c_float` of 4",
            "astype",
        ):
            address(array("d", [1]), ctypes.c_float)

    def test_read_only_memory_is_refused_where_the_library_writes(self) -> None:
        for buffer in (b"abc", memoryview(bytearray(b"abc")).toreadonly()):
            with self.refused(BufferRefused, "the library writes to it, and it is read-only"):
                address(buffer, writable=True)

    def test_memory_with_gaps_is_refused(self) -> None:
        with self.refused(BufferRefused, "do not lie in a row (strides (2,) bytes)"):
            address(memoryview(b"abcdef")[::2])

    def test_what_is_no_buffer_is_refused_as_a_type_error(self) -> None:
        for buffer in (None, 3, "text", [1.0], object()):
            with self.refused(BufferRefused, "gives no buffer"):
                address(buffer)
        self.assertTrue(issubclass(BufferRefused, TypeError))

    def test_the_example_in_the_documentation_runs(self) -> None:
        done = doctest.testmod(buffers)
        self.assertEqual((done.failed, done.attempted), (0, 3))


class Numpy(TestCase):
    numpy: Any

    @classmethod
    def setUpClass(cls) -> None:
        cls.numpy = module("numpy")

    def test_arrays_of_any_shape_give_their_data_address(self) -> None:
        rows = self.numpy.arange(12, dtype=self.numpy.float32).reshape(3, 4)
        for each in (rows, rows[1:], rows[1], self.numpy.array(3, "f4")):
            self.assertEqual(address(each, ctypes.c_float), each.ctypes.data)

    def test_read_only_arrays_have_an_address_too(self) -> None:
        row = self.numpy.ones(4, dtype=self.numpy.float32)
        row.flags.writeable = False
        self.assertEqual(address(row, ctypes.c_float), row.ctypes.data)
        with self.refused(BufferRefused, "read-only"):
            address(row, ctypes.c_float, writable=True)

    def test_wrong_types_orders_and_strides_are_refused(self) -> None:
        square = self.numpy.ones((4, 4), dtype=self.numpy.float32)
        for bad in (square.astype(">f4"), square.astype(float), square.astype(self.numpy.int32)):
            with self.refused(BufferRefused, "wanted `c_float` of 4"):
                address(bad, ctypes.c_float)
        for bad in (square.T[:, :2], square[:, 1], square[::2]):
            with self.refused(BufferRefused, "ascontiguousarray"):
                address(bad, ctypes.c_float)
        with self.refused(BufferRefused, "gives no buffer"):
            address(self.numpy.zeros(3, dtype="M8[s]"))

    def test_records_are_the_structs_of_a_library(self) -> None:
        records = self.numpy.zeros(3, dtype=[("x", "f4"), ("y", "f4")])
        self.assertEqual(address(records, Point), records.ctypes.data)


if __name__ == "__main__":
    unittest.main()
