"""What a library can do, found out by trying: run by bench/verbs_table.py, under the interpreter that has it.

    probe.py LIBRARY FOLDER               a line of JSON: row -> [answer, note]
    probe.py --child LIBRARY FOLDER WHAT  what a row needs a process of its own for

Answers are `yes`, `partly` (otherwise, as the note says), `no`, and `-` where the question makes no sense.
"""

import json
import os
import signal
import sys

from checks import START, VERBS
from libraries import OPEN, close, put, settle
from otherwise import OTHERWISE
from properties import KILLED_WRITES, PROPERTIES, NotAsked


def filled(library, folder):
    db = OPEN[library](folder)
    for key, value in START.items():
        put(library, db, key, value)
    return db


def ask_verb(verb, library, folder):
    """The verb as we have it, then by its other name: an answer and a note."""
    attempts = [("yes", "", VERBS[verb])]
    if library in OTHERWISE[verb]:
        name, check = OTHERWISE[verb][library]
        attempts.append(("partly", name, check))
    for number, (answer, note, check) in enumerate(attempts):
        place = os.path.join(folder, str(number))
        os.makedirs(place)
        db = filled(library, place)
        try:
            check(db)
            return answer, note
        except Exception:  # whatever a library raises says that it cannot
            continue
        finally:
            close(library, db)
    return "no", ""


def ask_property(name, library, folder):
    os.makedirs(folder)
    try:
        return "yes", PROPERTIES[name](library, folder) or ""
    except NotAsked:
        return "-", ""
    except Exception:
        return "no", ""


def answers(library, folder):
    found = {}
    for number, verb in enumerate(VERBS):
        found[verb] = ask_verb(verb, library, os.path.join(folder, f"verb{number}"))
    for number, name in enumerate(PROPERTIES):
        found[name] = ask_property(name, library, os.path.join(folder, f"property{number}"))
    return found


def be_child(library, folder, what):
    """Writes, and is killed or ends at once: nothing is flushed that the library has not flushed by itself."""
    db = OPEN[library](folder)
    if what == "kill":
        for number in range(KILLED_WRITES):
            put(library, db, f"k{number}", b"v")
        os.kill(os.getpid(), signal.SIGKILL)
    put(library, db, "theirs", b"2")
    settle(library, db)
    close(library, db)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        be_child(*sys.argv[2:])
    else:
        print(json.dumps(answers(*sys.argv[1:])), flush=True)
        os._exit(0)
