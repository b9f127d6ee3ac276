"""Makes addresses that are valid by each network's own checksum rules. It never checks any."""

import base64
import hashlib
from typing import Final

import base58
import bech32
from eth_utils.address import to_checksum_address

from indexer.simulator.positions import digest_of

_BECH32M: Final = 0x2BC830A3
_BECH32: Final = 1


def make_address(source: str, seed: int, index: int) -> str:
    """The ``index``-th address of this source, in the form an explorer would show."""
    return _MAKERS[source](digest_of("address", source, seed, index), index)


def _bitcoin(raw: bytes, index: int) -> str:
    if index % 4 == 3:
        return base58.b58encode_check(b"\x05" + raw[:20]).decode()
    if index % 4 == 2:
        return base58.b58encode_check(b"\x00" + raw[:20]).decode()
    return _segwit(0, raw[:20], _BECH32) if index % 4 == 1 else _segwit(1, raw, _BECH32M)


def _segwit(version: int, program: bytes, constant: int) -> str:
    data = [version, *(bech32.convertbits(program, 8, 5) or [])]
    check = bech32.bech32_polymod([*bech32.bech32_hrp_expand("bc"), *data, 0, 0, 0, 0, 0, 0]) ^ constant
    values = data + [(check >> 5 * (5 - place)) & 31 for place in range(6)]
    return "bc1" + "".join(bech32.CHARSET[value] for value in values)


def _solana(raw: bytes, _index: int) -> str:
    return base58.b58encode(raw).decode()


def algorand_address(raw: bytes, _index: int = 0) -> str:
    """The text form of 32 bytes: base32 with four bytes of SHA-512/256 behind them."""
    return base64.b32encode(raw + hashlib.new("sha512_256", raw).digest()[-4:]).decode().rstrip("=")


def ethereum_address(raw: bytes, _index: int = 0) -> str:
    """The EIP-55 form of the first 20 bytes."""
    return str(to_checksum_address(raw[:20]))


def _hedera(raw: bytes, index: int) -> str:
    return f"0.0.{1_000_000 + index * 1_000 + raw[0]}"


_MAKERS: Final = {
    "okx_runes": _bitcoin,
    "solana_das": _solana,
    "algorand": algorand_address,
    "loopring": ethereum_address,
    "hedera": _hedera,
}
