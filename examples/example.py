"""A dictionary in a file, in Python: example.py FILE"""

import sys

from dictsqlite import DictSQLite


def count_words(db: DictSQLite, text: str) -> None:
    for word in text.split():
        db.increment(f"count/{word}")


def store_together(db: DictSQLite) -> None:
    """Three records that reach the disk together or not at all."""
    with db.batch() as batch:
        for number, name in enumerate(["mercury", "venus", "earth"], 1):
            batch[f"planet/{name}"] = b"%d" % number


def main(path: str) -> None:
    with DictSQLite(path) as db:
        db["colour"] = b"green"
        print("colour is", db["colour"].decode())
        store_together(db)
        count_words(db, "to be or not to be")
        for key, value in db.scan("planet/"):
            print(key, int(value))
        print({key: int(value) for key, value in db.scan("count/")})
        print(len(db), "records")


if __name__ == "__main__":
    main(sys.argv[1])
