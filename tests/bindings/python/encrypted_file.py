"""An encrypted file read without the library: what crypto/superblock.h and crypto/sealer.h say of it.

Only hashlib and the package `cryptography` are used, as anybody would who has nothing but the format.
"""

import hashlib
import struct

PAGE = 4096
SEAL = 40  # nonce 24, tag 16
HEADER = 8192
MAIN_PAGE = 1
AES256GCM = 1
XCHACHA20POLY1305 = 2


def aes_gcm(key):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def chacha20_poly1305(key):
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def quarter_round(x, a, b, c, d):
    for i, j, k, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[i] = (x[i] + x[j]) & 0xFFFFFFFF
        x[k] ^= x[i]
        x[k] = (x[k] << turn | x[k] >> (32 - turn)) & 0xFFFFFFFF


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha, section 2.2: the key for the last 8 bytes of XChaCha20's nonce."""
    x = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for i in range(4):
            quarter_round(x, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *x[:4], *x[12:])


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
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    key = Argon2id(salt=superblock.salt, length=32, iterations=superblock.operations, lanes=1,
                   memory_cost=superblock.memory // 1024).derive(password)
    return chacha20_poly1305(key).decrypt(superblock.nonce, superblock.wrapped,
                                          superblock.block[:64])


def superblock_mac(superblock, master):
    return hashlib.blake2b(superblock.block[:160], key=derive(master, 2, b"dsqsuper"),
                           digest_size=32).digest()


def open_page(cipher, pages_key, file_id, number, sealed):
    """The page's plain text, with zeros where its seal was; the number counts from 1."""
    body, nonce, tag = sealed[:-SEAL], sealed[-SEAL:-16], sealed[-16:]
    place = file_id + struct.pack("<IQQ", MAIN_PAGE, 0, number)
    if cipher == AES256GCM:
        aead = aes_gcm(hashlib.blake2b(nonce[:16], key=pages_key, digest_size=32).digest())
        nonce = nonce[16:] + bytes(4)
    else:
        aead = chacha20_poly1305(hchacha20(pages_key, nonce[:16]))
        nonce = bytes(4) + nonce[16:]
    return aead.decrypt(nonce, body + tag, place) + bytes(SEAL)


def superblocks(data):
    """Both copies, whole or not."""
    return [Superblock(data[at:at + 512]) for at in (0, PAGE)]


def decrypt(data, password):
    """The superblock that counts of an encrypted file, and the pages of the SQLite file in it."""
    superblock = max((copy for copy in superblocks(data) if copy.is_whole()),
                     key=lambda copy: copy.sequence)
    master = master_key(superblock, password)
    assert superblock_mac(superblock, master) == superblock.mac
    assert superblock.complete == 1
    pages_key = derive(master, 1, b"dsqpages")
    pages = [data[at:at + PAGE] for at in range(HEADER, len(data), PAGE)]
    return superblock, [open_page(superblock.cipher, pages_key, superblock.file_id, number, page)
                        for number, page in enumerate(pages, 1)]
