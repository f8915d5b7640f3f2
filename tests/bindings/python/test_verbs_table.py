"""The table of verbs says of us what is so: a fresh run of the script agrees with what the documents say."""

import pathlib
import re
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]
COUNTED_BY_STRACE = "each write synced by default"

sys.path.insert(0, str(ROOT / "bench"))
verbs_table = pytest.importorskip("verbs_table")


@pytest.fixture(scope="module")
def ours():
    return verbs_table.ask(verbs_table.OURS)


def rows(text):
    """The rows of the only table of a document: name -> cells."""
    lines = [line.replace("\\|", "\0").strip("| ").split(" | ") for line in text.splitlines()
             if line.startswith("| ")]
    return {cells[0].replace("\0", "|"): [cell.replace("\0", "|") for cell in cells[1:]] for cells in lines[2:]}


def short_table(page="README.md"):
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.partition(verbs_table.BEGIN)[2].partition(verbs_table.END)[0]


def long_table():
    return rows((ROOT / "docs" / "verbs.md").read_text(encoding="utf-8"))


def test_the_long_table_has_the_rows_of_the_script_and_all_libraries(ours):
    table = long_table()
    assert list(table) == list(ours)
    assert {len(cells) for cells in table.values()} == {len(verbs_table.LIBRARIES)}


def test_our_column_of_the_long_table_is_what_a_fresh_run_finds(ours):
    for name, cells in long_table().items():
        if name != COUNTED_BY_STRACE or shutil.which("strace"):
            assert (name, cells[0]) == (name, verbs_table.cell(ours[name]))


def test_our_column_of_the_readme_is_what_a_fresh_run_finds(ours):
    table = rows(short_table())
    assert list(table) == [name.replace("\\|", "|") for name in verbs_table.GROUPS]
    for name, group in verbs_table.GROUPS.items():
        if COUNTED_BY_STRACE not in group or shutil.which("strace"):
            assert (name, table[name.replace("\\|", "|")][0]) == (name, verbs_table.count(ours, group))


def test_every_row_of_the_script_is_in_one_group_of_the_readme(ours):
    grouped = [row for group in verbs_table.GROUPS.values() for row in group]
    assert sorted(grouped) == sorted(ours)


def test_the_table_of_the_readme_in_japanese_is_that_of_the_readme_translated():
    assert short_table("README_JP.md") == verbs_table.in_japanese(short_table())


def test_each_phrase_of_the_groups_that_is_not_code_alone_has_its_japanese():
    said = {phrase for name in verbs_table.GROUPS for phrase in verbs_table.phrases(name)}
    in_words = {phrase for phrase in said if re.sub(r"`[^`]*`", "", phrase).strip()}
    assert in_words == verbs_table.JAPANESE.keys() - {"**ours**", "all"}
