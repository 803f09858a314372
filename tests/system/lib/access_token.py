# SPDX-License-Identifier: BSD-2-Clause
"""Access tokens of RFC 7635 section 6.2, with an AES-GCM of our own: FIPS 197, NIST SP 800-38D. Slow and clear; nothing
of src/ is used."""

import os
import struct
import time

NONCE_LEN, TAG_LEN = 12, 16


def _times2(b):
    return (b << 1 ^ (0x11B if b & 0x80 else 0)) & 0xFF


def _make_sbox():
    """Inverses in GF(2^8) by way of the powers of 3, then the affine map of FIPS 197 5.1.1."""
    powers, logs, x = [], {}, 1
    for i in range(255):
        powers.append(x)
        logs[x] = i
        x ^= _times2(x)
    box = []
    for b in range(256):
        inverse = powers[-logs[b] % 255] if b else 0
        box.append(0x63 ^ inverse)
        for turn in range(1, 5):
            box[b] ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
    return bytes(box)


SBOX = _make_sbox()


class Aes:
    """The cipher, one block at a time: all that counter mode needs."""

    def __init__(self, key):
        words, turn = [key[i:i + 4] for i in range(0, len(key), 4)], 1
        n = len(words)
        self.rounds = n + 6
        for i in range(n, 4 * (self.rounds + 1)):
            word = words[-1]
            if i % n == 0:
                word = bytes([SBOX[word[1]] ^ turn, SBOX[word[2]], SBOX[word[3]], SBOX[word[0]]])
                turn = _times2(turn)
            elif n > 6 and i % n == 4:
                word = bytes(SBOX[b] for b in word)
            words.append(bytes(a ^ b for a, b in zip(word, words[i - n])))
        self.keys = [b"".join(words[i:i + 4]) for i in range(0, len(words), 4)]

    def encrypt(self, block):
        state = bytes(a ^ b for a, b in zip(block, self.keys[0]))
        for number in range(1, self.rounds + 1):
            state = bytes(SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16))  # SubBytes and ShiftRows
            if number < self.rounds:
                mixed = []
                for c in range(0, 16, 4):
                    column = state[c:c + 4]
                    for r in range(4):
                        a, b = column[r], column[(r + 1) % 4]
                        mixed.append(_times2(a) ^ _times2(b) ^ b ^ column[(r + 2) % 4] ^ column[(r + 3) % 4])
                state = bytes(mixed)
            state = bytes(a ^ b for a, b in zip(state, self.keys[number]))
        return state


def _gf_times(x, y):
    """SP 800-38D 6.3: the leftmost bit is the lowest power."""
    product = 0
    for i in range(127, -1, -1):
        if x >> i & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def _gcm(key, nonce, aad, data, decrypt):
    """(the other text, the tag)"""
    aes = Aes(key)
    out = b""
    for i in range(0, len(data), 16):
        stream = aes.encrypt(nonce + struct.pack("!I", 2 + i // 16))
        out += bytes(a ^ b for a, b in zip(data[i:i + 16], stream))
    secret = data if decrypt else out
    h, y = int.from_bytes(aes.encrypt(bytes(16)), "big"), 0
    text = aad + bytes(-len(aad) % 16) + secret + bytes(-len(secret) % 16) + struct.pack("!QQ", 8 * len(aad), 8 * len(secret))
    for i in range(0, len(text), 16):
        y = _gf_times(y ^ int.from_bytes(text[i:i + 16], "big"), h)
    mask = aes.encrypt(nonce + struct.pack("!I", 1))
    return out, bytes(a ^ b for a, b in zip(y.to_bytes(16, "big"), mask))


class Token:
    """One token and what is inside."""

    def __init__(self, mac_key=None, timestamp=None, lifetime=600):
        self.mac_key = os.urandom(20) if mac_key is None else mac_key
        self.timestamp = time.time() if timestamp is None else timestamp  # Unix seconds
        self.lifetime = lifetime

    def block(self):
        seconds = int(self.timestamp)
        fraction = int((self.timestamp - seconds) * 64000)
        return (struct.pack("!H", len(self.mac_key)) + self.mac_key
                + struct.pack("!QI", seconds << 16 | fraction, self.lifetime))

    def seal(self, key, server, nonce=None):
        """The value of ACCESS-TOKEN. key: 32 bytes (A256GCM) or 16 (A128GCM)."""
        nonce = nonce or os.urandom(NONCE_LEN)
        text, tag = _gcm(key, nonce, server.encode(), self.block(), False)
        return struct.pack("!H", len(nonce)) + nonce + text + tag


def open_token(value, key, server):
    """The Token that was sealed; ValueError when it is not authentic."""
    nonce_len = struct.unpack_from("!H", value)[0]
    nonce, rest = value[2:2 + nonce_len], value[2 + nonce_len:]
    block, tag = _gcm(key, nonce, server.encode(), rest[:-TAG_LEN], True)
    if tag != rest[-TAG_LEN:]:
        raise ValueError("the token is not authentic")
    mac_len = struct.unpack_from("!H", block)[0]
    stamp, lifetime = struct.unpack_from("!QI", block, 2 + mac_len)
    return Token(block[2:2 + mac_len], (stamp >> 16) + (stamp & 0xFFFF) / 64000, lifetime)
