"""The format of an encrypted file is what it says: encrypted_file.py reads it, which knows nothing else."""

import sqlite3

import pytest

from dictsqlite import DictSQLite, DictSQLiteError

aead = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead")
exceptions = pytest.importorskip("cryptography.exceptions")
argon2 = pytest.importorskip("cryptography.hazmat.primitives.kdf.argon2",
                             reason="this version of cryptography has no Argon2id")
encrypted_file = pytest.importorskip("encrypted_file")

SECRET = "correct horse"
ROWS = 1000
CIPHERS = {"aes-256-gcm": encrypted_file.AES256GCM,
           "xchacha20-poly1305": encrypted_file.XCHACHA20POLY1305}


def rows(first=0):
    return {f"a key of mine {i}": b"a value %d" % i for i in range(first, first + ROWS)}


@pytest.fixture(autouse=True)
def needs_argon2id():
    try:
        argon2.Argon2id(salt=bytes(16), length=32, iterations=1, lanes=1, memory_cost=8)
    except exceptions.UnsupportedAlgorithm:
        pytest.skip("OpenSSL as cryptography was built with it has no Argon2id")


@pytest.fixture(params=CIPHERS)
def cipher(request, path):
    try:
        DictSQLite(path, encryption_password=SECRET, cipher=request.param).close()
    except DictSQLiteError as error:
        assert "no instructions" in str(error)
        pytest.skip("this processor has no instructions for AES")
    return request.param


def decrypt(path, password=SECRET):
    return encrypted_file.decrypt(path.read_bytes(), password.encode())


def test_the_extended_nonce_is_that_of_the_draft():
    """draft-irtf-cfrg-xchacha, section 2.2.1."""
    key = encrypted_file.hchacha20(bytes(range(32)),
                                   bytes.fromhex("000000090000004a0000000031415927"))
    assert key.hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"


def test_a_closed_file_is_read_without_the_library(path, cipher):
    with DictSQLite(path, encryption_password=SECRET) as db:
        db.update(rows())
    superblock, pages = decrypt(path)
    assert superblock.format == 1
    assert superblock.cipher == CIPHERS[cipher]
    assert superblock.page_bytes == 4096
    assert (superblock.kdf, superblock.operations, superblock.memory) == (1, 3, 64 << 20)
    assert all(copy.is_whole() for copy in encrypted_file.superblocks(path.read_bytes()))
    assert pages[0].startswith(b"SQLite format 3\0")
    assert pages[0][20] == encrypted_file.SEAL, "what SQLite leaves free at a page's end"
    plain = path.with_suffix(".plain")
    plain.write_bytes(b"".join(pages))
    connection = sqlite3.connect(plain)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = dict(connection.execute("SELECT key, value FROM kv"))
    connection.close()
    assert found == {key.encode(): value for key, value in rows().items()}


def test_a_new_password_wraps_the_same_keys(path):
    with DictSQLite(path, encryption_password=SECRET) as db:
        db.update(rows())
    before, pages = decrypt(path)
    with DictSQLite(path, encryption_password=SECRET) as db:
        db.rekey("another")
    after, pages_after = decrypt(path, "another")
    assert after.sequence > before.sequence
    assert after.salt != before.salt and after.wrapped != before.wrapped
    assert after.file_id == before.file_id
    assert (encrypted_file.master_key(after, b"another")
            == encrypted_file.master_key(before, SECRET.encode()))
    assert pages_after[0][:16] == pages[0][:16] == b"SQLite format 3\0"
    with pytest.raises(exceptions.InvalidTag):
        decrypt(path)


def test_two_files_have_no_key_salt_or_nonce_in_common(path):
    sealed = []
    for name in ("one", "two"):
        file = path.with_name(name)
        with DictSQLite(file, encryption_password=SECRET) as db:
            db.update(rows())
        data = file.read_bytes()
        superblock, _ = encrypted_file.decrypt(data, SECRET.encode())
        seals = {data[at - 40:at - 16] for at in range(8192 + 4096, len(data) + 1, 4096)}
        assert len(seals) == (len(data) - 8192) // 4096
        sealed.append((superblock, seals))
    (one, of_one), (two, of_two) = sealed
    assert one.salt != two.salt and one.file_id != two.file_id
    assert (encrypted_file.master_key(one, SECRET.encode())
            != encrypted_file.master_key(two, SECRET.encode()))
    assert not of_one & of_two


def test_what_the_reader_is_given_changed_it_refuses(path):
    """So that what it says of the library's files means something."""
    with DictSQLite(path, encryption_password=SECRET) as db:
        db.update(rows())
    data = bytearray(path.read_bytes())
    copy = encrypted_file.superblocks(data)[0]
    assert copy.is_whole()
    for place in (0, 40, 150, 170, 300, 500):
        changed = bytearray(copy.block)
        changed[place] ^= 1
        assert not encrypted_file.Superblock(changed).is_whole()
    master = encrypted_file.master_key(copy, SECRET.encode())
    key = encrypted_file.derive(master, 1, b"dsqpages")
    page = data[8192:8192 + 4096]
    for number, place in ((2, None), (1, 0), (1, 4050), (1, 4060), (1, 4090)):
        changed = bytearray(page)
        if place is not None:
            changed[place] ^= 1
        with pytest.raises(exceptions.InvalidTag):
            encrypted_file.open_page(copy.cipher, key, copy.file_id, number, bytes(changed))
