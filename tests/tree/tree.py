"""The project's own files, and C text without what is no code."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("core", "persist", "crypto", "bindings", "tests", "stress", "bench", "examples",
           "scripts", "cmake", ".ci")

# A comment or a literal; literals are matched so that "/*" inside one opens no comment.
COMMENT_OR_LITERAL = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def files(*suffixes):
    """Paths, relative to the root, of the files that end so, or of all."""
    found = []
    for folder in FOLDERS:
        for directory, names, entries in os.walk(os.path.join(ROOT, folder)):
            names[:] = [name for name in names if name not in ("__pycache__", "seeds")]
            found += [os.path.relpath(os.path.join(directory, entry), ROOT)
                      for entry in entries if entry.endswith(suffixes or "")]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    """The text with comments and the insides of literals blanked; lines keep their numbers."""
    def blank(match):
        text = match.group()
        kept = '""' if text[0] == '"' else "''" if text[0] == "'" else " "
        return kept + "\n" * text.count("\n")
    return COMMENT_OR_LITERAL.sub(blank, text)
