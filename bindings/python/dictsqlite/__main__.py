"""python -m dictsqlite: the command line (dictsqlite/_cli)."""

import sys

from dictsqlite._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
