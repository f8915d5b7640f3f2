"""docs/encryption.md says of each change of a file what tests/bindings/test_tampering.c demands."""

import re
import unittest

import tree

WORDS = {"AT_OPEN": "open", "AT_READ": "read", "BY_VERIFY": "verify", "CUT_BACK": "older",
         "NEVER": "not"}
ROW = re.compile(r'\{"([^"]+)",\s*\w+,\s*(?:true|false),\s*(\w+),\s*(\w+),\s*(?:true|false),\s*(?:true|false)\}')


def tested():
    text = tree.read("tests/bindings/test_tampering.c")
    return [(name, WORDS[first] if first == last else f"{WORDS[first]} to {WORDS[last]}")
            for name, first, last in ROW.findall(text)]


def documented():
    text = tree.read("docs/encryption.md").split("| change | noticed | remark |\n|---|---|---|\n")[1]
    rows = [line.strip("|").split("|") for line in text.split("\n\n")[0].splitlines()]
    return [(row[0].strip(), row[1].strip()) for row in rows]


class EncryptionTable(unittest.TestCase):
    def test_the_table_is_what_is_tested(self):
        self.assertGreater(len(tested()), 10)
        self.assertEqual(documented(), tested())


if __name__ == "__main__":
    unittest.main()
