"""OKX Runes: which addresses and runes are accepted, what is asked, and how it is signed."""

import string
from datetime import UTC, datetime, timedelta, timezone

import base58
import bech32
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.records import NO_FACTS, Cursor, Request
from indexer.sources.okx_runes import OkxRunes, sign
from tests.unit.sources.okx_answers import (
    KEY_HASH,
    LEGACY,
    NESTED,
    RUNE,
    SCRIPT_HASH,
    SOURCE,
    TAPROOT,
    question,
)


class TestAddresses:
    @pytest.mark.parametrize("address", [TAPROOT, KEY_HASH, SCRIPT_HASH, LEGACY, NESTED])
    def test_every_mainnet_kind_is_its_own_canonical_form(self, address: str) -> None:
        """Taproot, both segwit v0 lengths, P2PKH and P2SH are accepted and stored as written."""
        assert SOURCE.canonical_address(address) == address

    def test_bech32_is_stored_in_lower_case(self) -> None:
        """QR codes carry upper case: the same address must not be watched twice."""
        assert SOURCE.canonical_address(TAPROOT.upper()) == TAPROOT

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (TAPROOT[:-1] + TAPROOT[-1].upper(), "mixed"),
            (TAPROOT[:-1] + "q", "checksum"),
            (TAPROOT[:-1], "checksum"),
            ("tb1" + TAPROOT[3:], "mainnet"),
            (base58.b58encode_check(b"\x6f" + bytes(20)).decode(), "mainnet"),
            (base58.b58encode_check(bytes(20)).decode(), "mainnet"),
            (LEGACY[:-1] + "y", "checksum"),
            (LEGACY + "\n", "mainnet"),
            (" " + TAPROOT, "mainnet"),
            (KEY_HASH.upper().replace("K", "\u212a"), "bech32"),
            ("", "mainnet"),
            ("bc1", "length"),
            ("bc1" + "q" * 90, "length"),
        ],
    )
    def test_a_wrong_address_is_refused_with_its_reason(self, text: str, reason: str) -> None:
        """Somebody has to find the typo in a text file: the message says what is wrong."""
        with pytest.raises(ValueError, match=reason):
            SOURCE.canonical_address(text)

    @pytest.mark.parametrize(
        ("version", "length", "constant"),
        [(0, 32, 0x2BC830A3), (1, 32, 1), (0, 25, 1), (17, 32, 0x2BC830A3), (1, 1, 0x2BC830A3)],
    )
    def test_the_witness_version_decides_checksum_and_length(
        self, version: int, length: int, constant: int
    ) -> None:
        """Version 0 is bech32 with 20 or 32 bytes, 1 to 16 are bech32m with 2 to 40."""
        with pytest.raises(ValueError, match=r"checksum|version|length"):
            SOURCE.canonical_address(segwit(version, bytes(length), constant))

    @given(st.integers(1, 16), st.binary(min_size=2, max_size=40), st.booleans())
    def test_any_later_witness_program_round_trips(self, version: int, program: bytes, upper: bool) -> None:
        """Either case of a valid bech32m address gives the one lower-case form."""
        address = segwit(version, program, 0x2BC830A3)

        assert SOURCE.canonical_address(address.upper() if upper else address) == address

    @given(st.sampled_from([0, 5]), st.binary(min_size=20, max_size=20))
    def test_any_base58_address_round_trips(self, version: int, digest: bytes) -> None:
        """Base58 tells lower from upper case: it is stored as it stands."""
        address = base58.b58encode_check(bytes([version]) + digest).decode()

        assert SOURCE.canonical_address(address) == address

    @given(st.sampled_from([TAPROOT, KEY_HASH, SCRIPT_HASH, LEGACY, NESTED]), st.data())
    def test_one_wrong_character_is_always_noticed(self, address: str, data: st.DataObject) -> None:
        """A typo must never watch somebody else's address."""
        position = data.draw(st.integers(0, len(address) - 1))
        alphabet = string.ascii_letters + string.digits
        wrong = data.draw(st.sampled_from(alphabet).filter(lambda letter: letter != address[position]))

        with pytest.raises(ValueError, match=r"\w"):
            SOURCE.canonical_address(address[:position] + wrong + address[position + 1 :])


def segwit(version: int, program: bytes, constant: int) -> str:
    """A segwit address built independently of the code under test."""
    data = [version, *(bech32.convertbits(program, 8, 5) or [])]
    remainder = bech32.bech32_polymod(bech32.bech32_hrp_expand("bc") + data + [0] * 6) ^ constant
    data += [(remainder >> 5 * (5 - place)) & 31 for place in range(6)]
    return "bc1" + "".join(bech32.CHARSET[symbol] for symbol in data)


class TestScope:
    @pytest.mark.parametrize("rune", ["840000:3", "1:0", "18446744073709551615:4294967295"])
    def test_a_rune_id_is_its_own_canonical_form(self, rune: str) -> None:
        """Block is u64, transaction u32; 1:0 is a real rune."""
        assert SOURCE.canonical_scope(rune) == rune

    @pytest.mark.parametrize(
        "text",
        [
            *("", "840000", "840000:", "0840000:3", "840000:03", "-1:3", " 840000:3", "840000:3\n", "٨:٣"),
            *("18446744073709551616:0", "1:4294967296", "QUIET•PAPER•LANTERN"),
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        """A name is no id, and one rune must not have two spellings."""
        with pytest.raises(ValueError, match="rune id"):
            SOURCE.canonical_scope(text)


class TestRequests:
    def test_the_first_question_is_for_the_divisibility(self) -> None:
        """Without it amounts cannot be read, so nothing else is asked before."""
        request = SOURCE.request(question(facts=NO_FACTS))

        assert request.kind == "lookup"
        assert request.target == "/api/v5/mktplace/nft/runes/detail?runesId=845764%3A84"
        assert SOURCE.fact_names(question()) == (f"divisibility:{RUNE}",)

    def test_addresses_keep_their_order_and_everything_is_encoded(self) -> None:
        """One request asks for all addresses, with the largest page there is."""
        request = SOURCE.request(question(TAPROOT, LEGACY, cursor=Cursor("100|1|Mg%3D%3D|Mg==")))

        assert request.target == (
            "/api/v5/mktplace/nft/runes/get-owned-asserts?runesId=845764%3A84"
            f"&walletAddresses={TAPROOT}%2C{LEGACY}&cursor=Mg%3D%3D&limit=100"
        )

    def test_prefix_and_path_come_from_configuration(self) -> None:
        """A gateway in front and the documents' spelling can both be configured."""
        source = OkxRunes(prefix="/gateway", path="get-owned-assets")

        target = source.request(question()).target

        assert target.startswith("/gateway/api/v5/mktplace/nft/runes/get-owned-assets?runesId=")

    def test_the_template_tells_no_address_and_no_cursor(self) -> None:
        """Templates are stored and logged."""
        template = SOURCE.request(question(cursor=Cursor("1|1|x|secretive"))).template

        assert template == (
            "/api/v5/mktplace/nft/runes/get-owned-asserts"
            "?runesId={rune}&walletAddresses={addresses}&cursor={cursor}&limit=100"
        )


class TestSignatures:
    SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
    OWNED = "/api/v5/mktplace/nft/runes/get-owned-asserts"
    ONE = "bc1p3fj806enwnmz04444mpm42ykgdcta9p5mvzx46hp8wmg2knpwxpq0k46x9"
    TWO = "bc1pxav32udnt0062dlvmjn7tp3qneamudpg492t7qmxsu7m73ldd7uq768q8p"

    @pytest.mark.parametrize(
        ("timestamp", "target", "signature"),
        [
            (
                "2024-04-29T14:00:00.123Z",
                f"{OWNED}?runesId=840000:3&walletAddresses={ONE}&limit=10",
                "UiexkduyEIp01PUU+HaoRUW8MUlf3UFTJknrk5c981g=",
            ),
            (
                "2024-04-29T14:00:00.123Z",
                f"{OWNED}?runesId=840000%3A3&walletAddresses={ONE}%2C{TWO}&limit=100",
                "nrhrN1P0aIgWqUBnvcDITwqChDlusQwKePWuErcVrdM=",
            ),
            (
                "2024-04-29T14:00:00.123Z",
                f"{OWNED}?runesId=840000%3A3&walletAddresses={ONE}&cursor=Mg%3D%3D&limit=100",
                "MSaf08VypDbX2oTDaYYRg/STIcIn6+XyQN8nn18NQcM=",
            ),
            ("2024-04-29T14:00:00.123Z", OWNED, "+Mu+zIx06El7Qu+0qjxxCtpWUpA00L861kq8uS08k9M="),
            (
                "2020-12-08T09:08:57Z",
                f"{OWNED}?runesId=840000:3&walletAddresses={ONE}&limit=10",
                "bVezNwaN/k/usAk/EfIBUdpuPtxtLkWg6vyN38Hg5oE=",
            ),
            (
                "2020-12-08T09:08:57.715Z",
                "/api/v5/account/balance?ccy=BTC",
                "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY=",
            ),
        ],
    )
    def test_known_signatures_are_reproduced(self, timestamp: str, target: str, signature: str) -> None:
        """Time, method and target exactly as sent, under the published example secret."""
        assert sign(self.SECRET, timestamp, Request("GET", target, "")) == signature

    def test_headers_sign_the_very_target_of_the_request(self) -> None:
        """Addresses, cursor and encoding of our own second-page request give the known signature."""
        asked = question(
            self.ONE,
            cursor=Cursor("100|1|Mg%3D%3D|Mg=="),
            facts={"divisibility:840000:3": "5"},
            rune="840000:3",
        )
        secrets = {"api_key": "key", "secret_key": self.SECRET, "passphrase": "phrase"}
        now = datetime(2024, 4, 29, 16, 0, 0, 123999, timezone(timedelta(hours=2)))

        assert SOURCE.headers(SOURCE.request(asked), secrets, now) == {
            "OK-ACCESS-KEY": "key",
            "OK-ACCESS-PASSPHRASE": "phrase",
            "OK-ACCESS-TIMESTAMP": "2024-04-29T14:00:00.123Z",
            "OK-ACCESS-SIGN": "MSaf08VypDbX2oTDaYYRg/STIcIn6+XyQN8nn18NQcM=",
            "Content-Type": "application/json",
        }

    def test_the_project_is_sent_only_when_given(self) -> None:
        """It is an optional secret."""
        secrets = {"api_key": "k", "secret_key": "s", "passphrase": "p", "project": "mine"}

        headers = SOURCE.headers(SOURCE.request(question()), secrets, datetime(2026, 1, 2, tzinfo=UTC))

        assert headers["OK-ACCESS-PROJECT"] == "mine"
        assert headers["OK-ACCESS-TIMESTAMP"] == "2026-01-02T00:00:00.000Z"
