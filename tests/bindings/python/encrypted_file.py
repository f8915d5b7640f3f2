"""An encrypted file read without the library: what crypto/superblock.h and crypto/sealer.h say of it.

Only hashlib and the package `cryptography` are used, as anybody would who has nothing but the format.
"""

import hashlib
import struct

PAGE = 4096
SEAL = 40  # nonce 24, tag 16
HEADER = 8192
MAIN_PAGE = 1


def aes_gcm(key):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


class Superblock:
    def __init__(self, block):
        (self.magic, self.format, self.cipher, self.page_bytes, self.kdf, self.operations,
         self.memory, self.salt, self.nonce, self.wrapped) = struct.unpack_from(
            "<16sIIIIQQ16s12s48s", block)
        self.complete, self.sequence, self.file_id, self.mac = struct.unpack_from(
            "<I4xQ16s32s", block, 128)
        self.checksum = block[496:512]
        self.block = block

    def is_whole(self):
        return (self.magic == b"dictsqlite seal\0"
                and self.checksum == hashlib.blake2b(self.block[:496], digest_size=16).digest())


def derive(master, number, context):
    """crypto_kdf of libsodium: BLAKE2b with the number as salt and the context as personalization."""
    return hashlib.blake2b(b"", key=master, digest_size=32,
                           salt=struct.pack("<Q8x", number),
                           person=context.ljust(16, b"\0")).digest()


def master_key(superblock, password):
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    key = Argon2id(salt=superblock.salt, length=32, iterations=superblock.operations, lanes=1,
                   memory_cost=superblock.memory // 1024).derive(password)
    return ChaCha20Poly1305(key).decrypt(superblock.nonce, superblock.wrapped,
                                         superblock.block[:64])


def open_page(pages_key, file_id, number, sealed):
    """The page's plain text, with zeros where its seal was; the number counts from 1."""
    body, nonce, tag = sealed[:-SEAL], sealed[-SEAL:-16], sealed[-16:]
    key = hashlib.blake2b(nonce[:16], key=pages_key, digest_size=32).digest()
    place = file_id + struct.pack("<IQQ", MAIN_PAGE, 0, number)
    return aes_gcm(key).decrypt(nonce[16:] + b"\0\0\0\0", body + tag, place) + bytes(SEAL)


def decrypt(data, password):
    """The SQLite file in the bytes of an encrypted one.  AES-256-GCM only."""
    copies = [Superblock(data[at:at + 512]) for at in (0, PAGE)]
    superblock = max((copy for copy in copies if copy.is_whole()), key=lambda copy: copy.sequence)
    master = master_key(superblock, password)
    mac_key = derive(master, 2, b"dsqsuper")
    mac = hashlib.blake2b(superblock.block[:160], key=mac_key, digest_size=32).digest()
    assert mac == superblock.mac
    assert superblock.complete == 1
    pages_key = derive(master, 1, b"dsqpages")
    pages = [data[at:at + PAGE] for at in range(HEADER, len(data), PAGE)]
    return superblock, [open_page(pages_key, superblock.file_id, number, page)
                        for number, page in enumerate(pages, 1)]
