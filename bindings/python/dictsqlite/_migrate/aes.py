"""AES-256-GCM as DictSQLite encrypts values with it: the nonce, the ciphertext, the tag."""

import hashlib
from typing import Optional, Union

_SALT = b"DictSQLite_v4_default_salt_16b"
_ITERATIONS = 100_000
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Cipher:
    """Opens values with the key of a password."""

    def __init__(self, password: Union[str, bytes]) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise ImportError("encrypted DictSQLite files need the package cryptography: "
                              "pip install dictsqlite[migrate]") from None
        if isinstance(password, str):
            password = password.encode("utf-8")
        key = hashlib.pbkdf2_hmac("sha256", password, _SALT, _ITERATIONS, _KEY_BYTES)
        self._aes = AESGCM(key)
        self._refusal = InvalidTag

    def open(self, data: bytes) -> Optional[bytes]:
        """The plain text, or None if data does not open with the password."""
        if len(data) < _NONCE_BYTES + _TAG_BYTES:
            return None
        try:
            return self._aes.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
        except self._refusal:
            return None
