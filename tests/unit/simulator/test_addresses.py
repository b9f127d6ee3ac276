"""Generated addresses obey their network's checksums, checked here by other means."""

import base64
import hashlib

import base58
import bech32
import pytest
from eth_utils.address import is_checksum_address

from indexer.simulator.addresses import algorand_address, make_address


@pytest.mark.parametrize("index", range(8))
def test_bitcoin_addresses_are_valid_in_every_form(index: int) -> None:
    """Taproot, segwit and both base58 forms take turns."""
    address = make_address("okx_runes", 1, index)

    if index % 4 == 0:
        data = [bech32.CHARSET.index(character) for character in address[3:]]
        assert bech32.bech32_polymod([*bech32.bech32_hrp_expand("bc"), *data]) == 0x2BC830A3
        assert (len(address), address[3]) == (62, "p")
    elif index % 4 == 1:
        version, program = bech32.decode("bc", address)
        assert (version, len(program or [])) == (0, 20)
    else:
        assert len(base58.b58decode_check(address)) == 21


@pytest.mark.parametrize("index", range(8))
def test_other_addresses_are_valid(index: int) -> None:
    """32 bytes of base58, a SHA-512/256 tail, an EIP-55 case, an entity id."""
    assert len(base58.b58decode(make_address("solana_das", 1, index))) == 32
    assert is_checksum_address(make_address("loopring", 1, index))
    assert make_address("hedera", 1, index).startswith("0.0.")
    algorand = make_address("algorand", 1, index)
    raw = base64.b32decode(algorand + "======")
    assert (len(algorand), hashlib.new("sha512_256", raw[:32]).digest()[-4:]) == (58, raw[32:])


def test_the_zero_address_of_algorand() -> None:
    """The one address whose text everybody knows."""
    assert algorand_address(bytes(32)) == "A" * 52 + "Y5HFKQ"


def test_addresses_differ_by_seed_and_index() -> None:
    """No two accounts of any world share an address."""
    made = {make_address("algorand", seed, index) for seed in range(5) for index in range(20)}

    assert len(made) == 100
