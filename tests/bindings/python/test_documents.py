"""What the documents show runs, and what they list is what there is.

The Python blocks of a page run in their order, in one namespace and an empty directory.  A block that begins
with a prompt has its output compared.

README_JP.md is held to README.md part by part (a heading, a paragraph, an item, a row, a block of code): each part
has the same code, links and numbers as its English, so that a change of one alone shows.
"""

import ast
import asyncio
import collections
import doctest
import inspect
import itertools
import pathlib
import re
import sys

import pytest

import dictsqlite
from dictsqlite import AsyncDictSQLite, Batch, DictSQLite

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [ROOT / "README.md", ROOT / "README_JP.md", *(ROOT / "docs").glob("*.md")])
REFERENCE = ROOT / "docs" / "reference.md"


def python_blocks(page):
    """The blocks of Python, each behind as many empty lines as it has lines before it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, found.start(1)), found.group(1)


def run_statements(source, line, page, namespace):
    code = compile("\n" * line + source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    awaited = eval(code, namespace)
    if inspect.iscoroutine(awaited):
        asyncio.run(awaited)


def run_session(source, line, page, namespace):
    session = doctest.DocTestParser().get_doctest(source, namespace, page, page, line)
    report = []
    doctest.DocTestRunner(verbose=False).run(session, out=report.append, clear_globs=False)
    namespace.update(session.globs)
    assert not report, "".join(report)


@pytest.mark.parametrize("page", [page for page in PAGES if any(python_blocks(page))])
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if page == "docs/values.md":
        pytest.importorskip("msgpack")
    namespace = {"__name__": "__example__"}
    for line, source in python_blocks(page):
        run = run_session if source.startswith(">>>") else run_statements
        run(source, line, page, namespace)
    dictsqlite.close_all()


def rows_of(heading):
    """The first two cells of each row of the table below a heading of the reference."""
    text = REFERENCE.read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^|]*?)` \| ?([^|]*?) ?\|", section, re.MULTILINE)
    assert rows
    return rows


def signature_of(owner, name):
    member = inspect.getattr_static(owner, name)
    if not callable(member) and not isinstance(member, (classmethod, staticmethod)):
        return name
    parameters = [parameter.replace(annotation=parameter.empty)
                  for parameter in inspect.signature(getattr(owner, name)).parameters.values()
                  if parameter.name != "self"]
    shown = str(inspect.Signature(parameters))
    # What stands alone before its parameters says nothing about how a method is called.
    return name + shown.replace("(/, ", "(").replace("(/)", "()").replace("=Ellipsis", "=...")


def public_names(owner):
    return [name for name in vars(owner) if not name.startswith("_")]


@pytest.mark.parametrize("owner", [DictSQLite, AsyncDictSQLite, Batch], ids=lambda owner: owner.__name__)
def test_the_reference_lists_each_method_with_its_signature(owner):
    documented = [row[0] for row in rows_of(f"Methods of {owner.__name__}")]
    assert sorted(documented) == sorted(signature_of(owner, name) for name in public_names(owner))


def test_the_reference_lists_each_function_with_its_signature():
    functions = [name for name in dictsqlite.__all__ if inspect.isroutine(getattr(dictsqlite, name))]
    documented = [row[0] for row in rows_of("Functions")]
    assert sorted(documented) == sorted(signature_of(dictsqlite, name) for name in functions)


def options_of(owner):
    return {name: parameter for name, parameter in inspect.signature(owner).parameters.items()
            if name != "self" and parameter.kind is not parameter.VAR_KEYWORD}


@pytest.mark.parametrize("owner", [DictSQLite, AsyncDictSQLite], ids=lambda owner: owner.__name__)
def test_the_reference_lists_each_option_with_its_default(owner):
    if owner is DictSQLite and sys.version_info < (3, 10):
        pytest.skip("3.9 drops the signature of heap types")
    documented = dict(rows_of(f"Options of {owner.__name__}"))
    options = options_of(owner)
    assert list(documented) == list(options)
    for name, default in documented.items():
        if default == "required":
            assert options[name].default is inspect.Parameter.empty
        else:
            assert ast.literal_eval(default.strip("`")) == options[name].default


def test_the_reference_lists_each_exception_with_its_bases():
    exceptions = {
        name: value for name, value in vars(dictsqlite).items()
        if isinstance(value, type) and issubclass(value, Exception)}
    documented = dict(rows_of("Exceptions"))
    assert documented.keys() == exceptions.keys()
    for name, bases in documented.items():
        real = [base.__name__ for base in exceptions[name].__bases__ if base is not Exception]
        assert [base for base in real if base != "DictSQLiteError"] == re.findall(r"`(\w+)`", bases)


def test_the_reference_lists_each_counter():
    with DictSQLite(":memory:") as db:
        assert [row[0] for row in rows_of("Counters")] == list(db.stats())


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / target).exists(), target


PART = re.compile(r"""
    ^ (?: (?P<code>```\w*) \n .*? ^```$
        | (?P<heading>\#+) [ ] [^\n]*
        | (?P<row>\|) [^\n]*
        | (?P<item>-) [ ] [^\n]* (?: \n [ ]{2} [^\n]+ )*
        | (?P<mark><!--) [^\n]*
        | [^\n]+ (?: \n (?!```|[#|]|-[ ]|<!--) [^\n]+ )*
      ) $""", re.MULTILINE | re.DOTALL | re.VERBOSE)
COMMENT = re.compile(r" *(?:/\*.*?\*/|(?<!\S)#(?!include).*)")
SPELT = {word: str(number) for number, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}


def parts(text):
    """The kind and the text of each part of a page."""
    return [("".join(filter(None, found.groups())), found.group()) for found in PART.finditer(text)]


def numbers(text):
    found = re.findall(r"\d+(?:[.,]\d+)*", text)
    return collections.Counter(number.replace(",", "") for number in found)


def spelt_numbers(text):
    return collections.Counter(SPELT[word] for word in re.findall(r"[a-z]+", text.lower()) if word in SPELT)


def same_numbers(english, japanese):
    """Whether two texts have the same numbers; one that is a word in English may be digits in Japanese."""
    more = numbers(japanese)
    more.subtract(numbers(english))
    return all(0 <= count <= spelt_numbers(english)[number] for number, count in more.items())


def cells(text):
    return len(re.findall(r"(?<!\\)\|", text)) if text.startswith("|") else 0


def code_spans(text):
    return sorted(re.findall(r"`[^`]+`", text))


def links(text):
    other = {"README.md": "README_JP.md"}
    return sorted(other.get(target, target) for target in re.findall(r"\]\(([^)]+)\)", text))


def without_comments(text):
    return [COMMENT.sub("", line) for line in text.splitlines()]


def differs(kind, english, japanese):
    if kind.startswith("```"):
        return without_comments(english) != without_comments(japanese)
    return (cells(english) != cells(japanese) or code_spans(english) != code_spans(japanese)
            or links(english) != links(japanese) or not same_numbers(english, japanese))


def differences(english, japanese):
    """The parts, English beside Japanese, that do not say the same; of pages of different shape, where that begins."""
    pairs = list(itertools.zip_longest(parts(english), parts(japanese), fillvalue=(None, "")))
    found = [(text, other) for (kind, text), (other_kind, other) in pairs
             if kind != other_kind or differs(kind, text, other)]
    same_shape = all(ours[0] == theirs[0] for ours, theirs in pairs)
    return found if same_shape else found[:1]


def both_readmes():
    return [(ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "README_JP.md")]


def test_the_readme_in_japanese_says_what_the_readme_says_part_by_part():
    found = differences(*both_readmes())
    assert not found, "\n\n".join("\n".join(pair) for pair in found)


@pytest.mark.parametrize("said, instead", [
    ("65,536", "65,537"), ("(64 MiB)", ""), ("one SQLite file", "two SQLite files"), ("_interval_ms` (100)", "_interval_ms`"),
    ("`delete_many`, ", ""), ("| `lazy` |", "| `late` |"), (" | caches |", " |"), ("](docs/async.md)", "](docs/tuning.md)"),
    ("db.increment", "db.add"), ('"ada", 3', '"ada", 4'), ("\n## The file\n", "\n### The file\n"),
    ("\n- A forked child", "\n\nA forked child"), ("\n## C\n", "\nA new paragraph.\n\n## C\n"),
])
def test_a_change_of_the_readme_alone_shows(said, instead):
    english, japanese = both_readmes()
    assert differences(english.replace(said, instead), japanese)
