"""dump and load: the three formats, exactly."""

import base64
import io
import json
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import command, process
from dictsqlite import DictSQLite
from dictsqlite._cli import formats, load
from dictsqlite._cli.malformed import Lines

FORMATS = ("jsonl", "csv", "tsv")
HEADERS = {"jsonl": b"", "csv": b"key,value,encoding\n", "tsv": b"key\tvalue\n"}

# What means something to one of the formats comes often.
SPECIAL = '\0\t\n\r"\\,{}\x85\u2028\ufeff\x1f\x7fx0tnr é日😀'
KEYS = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=["Cs"])), max_size=20)
VALUES = st.one_of(st.binary(max_size=40), KEYS.map(str.encode),
                   st.lists(st.sampled_from([b"\xff", b"\\", b"\\x41", b"\0", b"a", b"\t", b"\xe6\x97"])).map(b"".join))


def store(path, records):
    with DictSQLite(path) as db:
        db.update(records)


def content(path):
    with DictSQLite(path, create=False) as db:
        return dict(db.items())


@pytest.fixture(params=FORMATS)
def form(request):
    return request.param


# ---- what is dumped can be loaded ----


RECORDS = st.dictionaries(KEYS, VALUES, max_size=8)


@pytest.mark.parametrize("with_header", [True, False])
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=300, deadline=None)
@given(records=RECORDS)
def test_every_record_comes_back_exactly_from(name, with_header, records):
    form = formats.load_module(name)
    text = "".join(form.encode(key, value) for key, value in records.items())
    file = io.BytesIO(form.header(with_header) + text.encode())
    assert dict(form.decode(Lines(file), with_header)) == records


@pytest.mark.parametrize("options", [[], ["--no-header"], ["--atomic"]])
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=3, deadline=None)
@given(records=RECORDS)
def test_every_record_comes_back_exactly_through_the_commands(name, options, records):
    header = [option for option in options if option == "--no-header"]
    with tempfile.TemporaryDirectory() as folder:
        first, second = f"{folder}/first.db", f"{folder}/second.db"
        store(first, records)
        dumped = command("dump", first, "--format", name, *header)
        assert (dumped.status, dumped.err) == (0, "")
        loaded = command("load", second, "--format", name, *options, stdin=dumped.out)
        assert (loaded.status, loaded.err) == (0, "")
        assert content(second) == records


def test_files_come_back_by_the_ends_of_their_names(path, tmp_path):
    records = {"a": b"1", "b\n": b"\xff", "c": b""}
    store(path, records)
    for end in (".jsonl", ".ndjson", ".json", ".csv", ".CSV", ".tsv", ".tab"):
        file, copy = tmp_path / ("records" + end), tmp_path / (end + ".db")
        assert command("dump", path, file).status == 0
        assert command("load", copy, file).status == 0
        assert content(copy) == records
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_dump_replaces_a_file_only_if_told(path, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("mine")
    store(path, {"a": b"1"})
    refused = command("dump", path, output)
    assert refused.status == 3 and "--overwrite" in refused.err
    assert output.read_text() == "mine"
    assert command("dump", path, output, "--overwrite").status == 0
    assert output.read_text() == "key,value,encoding\na,1,\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "store.db"]


def test_a_dump_never_replaces_the_store(path):
    store(path, {"a": b"1"})
    refused = command("dump", path, path.parent / "." / path.name, "--overwrite", "--format", "csv")
    assert refused.status == 3 and "is the store itself" in refused.err
    assert content(path) == {"a": b"1"}


def test_a_dump_takes_a_prefix_or_a_range(path):
    store(path, {key: b"v" for key in ("a", "ab", "b", "c")})
    options = ["--format", "tsv", "--no-header"]
    assert command("dump", path, "--prefix", "a", *options).out == b"a\tv\nab\tv\n"
    assert command("dump", path, "--start", "ab", "--stop", "c", *options).out == b"ab\tv\nb\tv\n"


def test_a_dump_looks_as_documented(path):
    store(path, {"a,b": b'say "x"', "b\tc\\": b"l1\nl2\r\0", "c": b"\xff\\", "d\0": "日".encode()})
    dumped = {name: command("dump", path, "--format", name).out.decode() for name in FORMATS}
    assert dumped["jsonl"] == (
        '{"key":"a,b","value":"say \\"x\\""}\n{"key":"b\\tc\\\\","value":"l1\\nl2\\r\\u0000"}\n'
        '{"key":"c","value_base64":"/1w="}\n{"key":"d\\u0000","value":"日"}\n')
    assert dumped["csv"] == (
        'key,value,encoding\n"a,b","say ""x""",\n'
        'b\tc\\,bDEKbDINAA==,base64\nc,/1w=,base64\nZAA=,5pel,base64-key\n')
    assert dumped["tsv"] == (
        'key\tvalue\na,b\tsay "x"\nb\\tc\\\\\tl1\\nl2\\r\\0\nc\t\\xff\\\\\nd\\0\t日\n')


@pytest.mark.parametrize("value", [b"v" * 8_000_000, b"\xff" * 500_000, b'"\\\t' * 100_000], ids=["text", "binary", "special"])
def test_a_huge_line_comes_back(form, path, value):
    store(path, {"k" * 65536: value, "small": b""})
    dumped = command("dump", path, "--format", form).out
    assert command("load", path.with_name("copy.db"), "--format", form, stdin=dumped).status == 0
    assert content(path.with_name("copy.db")) == content(path)


# ---- what else is taken ----


@pytest.mark.parametrize("name, data", [
    ("jsonl", b'\n {"value" : "1", "key" : "a"} \r\n\n{"key":"b","value_base64":""}'),
    ("csv", b'\xef\xbb\xbfkey,value\r\n"a",1\r\n\r\nb,""'),
    ("csv", b"key,value,encoding\na,MQ==,base64\nYg==,,base64-key\n"),
    ("tsv", b"\xef\xbb\xbfkey\tvalue\r\na\t\\x31\r\n\nb\t"),
])
def test_what_other_programs_write_is_taken(path, name, data):
    assert command("load", path, "--format", name, stdin=data).status == 0
    assert content(path) == {"a": b"1", "b": b""}


def test_an_empty_input_makes_an_empty_store(form, path):
    for data in (b"", HEADERS[form]):
        assert command("load", path, "--format", form, stdin=data).status == 0
        assert content(path) == {}


def test_the_later_of_two_records_counts_and_replaces_what_was_there(path):
    store(path, {"a": b"before", "b": b"kept"})
    for options in ([], ["--atomic"]):
        assert command("load", path, "--format", "tsv", "--no-header", *options, stdin=b"a\t1\na\t2\n").status == 0
        assert content(path) == {"a": b"2", "b": b"kept"}


# ---- what is not ----

LONG_KEY = b"k" * 65537
MALFORMED = [
    ("jsonl", b'{"key":"b","value":"1"', "not JSON"),
    ("jsonl", b'["key","value"]', "not a JSON object"),
    ("jsonl", b'{"key":"b","value":"1"} x', "something follows"),
    ("jsonl", b'{"key":1,"value":"1"}', '"key"'),
    ("jsonl", b'{"key":"b","value":1}', '"value"'),
    ("jsonl", b'{"key":"b"}', '"value"'),
    ("jsonl", b'{"key":"b","value":"1","more":2}', "nothing else"),
    ("jsonl", b'{"key":"b","value":"1","value_base64":""}', "nothing else"),
    ("jsonl", b'{"key":"b","value_base64":"x"}', "not base64"),
    ("jsonl", b'{"key":"b","value_base64":"\xc3\xa9"}', "not base64"),
    ("jsonl", b'{"key":"\\ud800","value":"1"}', "surrogate"),
    ("jsonl", b'{"key":"b","value":"\\udfff"}', "surrogate"),
    ("jsonl", b'{"key":"\xff","value":"1"}', "not UTF-8"),
    ("jsonl", b"[" * 100_000, "not"),
    ("jsonl", b'{"key":"' + LONG_KEY + b'","value":"1"}', "65,537 bytes"),
    ("jsonl", b'{"key":"' + "é".encode() * 32769 + b'","value":"1"}', "65,538 bytes"),
    ("csv", b"b", "1 fields"),
    ("csv", b"b,1,,", "4 fields"),
    ("csv", b"b,1,hex", "encoding"),
    ("csv", b"b,x,base64", "not base64"),
    ("csv", b"/w==,eA==,base64-key", "the key is not UTF-8"),
    ("csv", b'b,"1"x', "not CSV"),
    ("csv", b'b,"1', "not CSV"),
    ("csv", b"b\xff,1", "not UTF-8"),
    ("csv", LONG_KEY + b",1", "65,537 bytes"),
    ("tsv", b"b", "1 fields"),
    ("tsv", b"b\t1\t2", "3 fields"),
    ("tsv", b"b\t\\q", "backslash"),
    ("tsv", b"b\t\\", "backslash"),
    ("tsv", b"b\t\\x4", "backslash"),
    ("tsv", b"\\xff\t1", "the key is not UTF-8"),
    ("tsv", LONG_KEY + b"\t1", "65,537 bytes"),
]
GOOD = {"jsonl": b'{"key":"a","value":"1"}\n', "csv": b"a,1,\n", "tsv": b"a\t1\n"}


@pytest.mark.parametrize("name, line, says", MALFORMED, ids=range(len(MALFORMED)))
def test_what_stands_before_a_malformed_line_is_stored(path, name, line, says):
    data = HEADERS[name] + GOOD[name] + b"\n" + line
    refused = command("load", path, "--format", name, stdin=data)
    number = data.count(b"\n") + 1
    assert refused.status == 3
    assert refused.err.startswith(f"dictsqlite: standard input, line {number}: ") and says in refused.err
    assert refused.err.endswith("(1 record stored)\n") and refused.err.count("\n") == 1
    assert content(path) == {"a": b"1"}


@pytest.mark.parametrize("name, line, says", MALFORMED, ids=range(len(MALFORMED)))
def test_nothing_of_an_atomic_load_is_stored_if_a_line_is_malformed(path, name, line, says):
    store(path, {"before": b""})
    refused = command("load", path, "--atomic", "--format", name, stdin=HEADERS[name] + GOOD[name] + line)
    assert (refused.status, says in refused.err) == (3, True)
    assert refused.err.endswith("(0 records stored)\n")
    assert content(path) == {"before": b""}


@pytest.mark.parametrize("name, line", [("csv", b"name,text\n"), ("csv", b"a,1,\n"), ("tsv", b"a\t1\n"), ("csv", b"key\n")])
def test_a_first_line_that_names_no_columns_is_malformed(path, name, line):
    refused = command("load", path, "--format", name, stdin=line)
    assert refused.status == 3 and "line 1: the first line must" in refused.err


def test_an_open_quote_is_told_with_the_line_where_its_record_begins(path):
    refused = command("load", path, "--format", "csv", stdin=b'key,value\na,"1\n2"\nb,"3\nc,4\n')
    assert "line 5: " in refused.err and "begins in line 4" in refused.err
    assert content(path) == {"a": b"1\n2"}


def test_the_limits_of_load_are_those_of_the_store(path):
    with DictSQLite(path) as db:
        db["k" * load.KEY_BYTES_MAX] = b""
        with pytest.raises(ValueError):
            db["k" * (load.KEY_BYTES_MAX + 1)] = b""
        with pytest.raises(ValueError):
            db["k"] = bytes(load.VALUE_BYTES_MAX + 1)


# ---- units ----


def test_many_records_are_stored_in_several_units(form, path):
    count = 3 * load.UNIT_RECORDS + 1
    records = {f"{i:08}": b"%d" % i for i in range(count)}
    store(path, records)
    copy = path.with_name("copy.db")
    dumped = process("dump", path, "--format", form).out
    assert process("load", copy, "--format", form, stdin=dumped).status == 0
    assert content(copy) == records


def test_an_atomic_load_may_be_larger_than_the_write_queue(path):
    line = json.dumps({"key": "%08d", "value_base64": base64.b64encode(b"\xff" * 999_999).decode()}) + "\n"
    data = b"".join((line % i).encode() for i in range(70))
    assert process("load", path, "--atomic", stdin=data).status == 0
    with DictSQLite(path) as db:
        assert len(db) == 70 and db["00000069"] == b"\xff" * 999_999
