"""The pages that describe what this package reads."""

from __future__ import annotations

import hashlib
import json
import unittest

from hoist_runtime.binding import struct_classes
from hoist_runtime.parse import parse_abi

from .support import PYTHON_DIR

ABI_PAGE = PYTHON_DIR.parent / "docs/formats/abi.md"


class AbiPage(unittest.TestCase):
    def setUp(self) -> None:
        page = ABI_PAGE.read_text(encoding="utf-8")
        self.example = page.split("```json\n")[1].split("```")[0]

    def test_the_example_is_an_abi_file_with_cs_layout(self) -> None:
        (library,) = parse_abi(self.example.encode(), str(ABI_PAGE)).libraries
        structs = {struct.name: struct for struct in library.structs}
        self.assertEqual(list(struct_classes(structs, str(ABI_PAGE))), ["message"])
        self.assertEqual(
            [function.declaration() for function in library.functions],
            [
                "bool peek_message(const struct router *router, struct message *out)",
                "const char *router_version(void)",
                "legacy_entry",
            ],
        )

    def test_the_examples_hash_is_the_one_the_page_defines(self) -> None:
        (library,) = json.loads(self.example)["libraries"]
        promise = [library["structs"], library["functions"]]
        text = json.dumps(promise, separators=(",", ":"), ensure_ascii=False)
        self.assertEqual(library["hash"], hashlib.sha256(text.encode()).hexdigest())


if __name__ == "__main__":
    unittest.main()
