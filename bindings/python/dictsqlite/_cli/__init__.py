"""The command line, `dictsqlite` or `python -m dictsqlite`.  docs/command-line.md describes it.

`main` runs a command and turns what came of it into an exit status; `arguments` says what can be
asked for; the other modules do it.
"""
