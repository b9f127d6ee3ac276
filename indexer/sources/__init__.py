"""The five sources, by name. One more source is one more file and one more line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from indexer.errors import UsageError
from indexer.sources.algorand import Algorand
from indexer.sources.base import Source
from indexer.sources.hedera import Hedera
from indexer.sources.loopring import Loopring
from indexer.sources.okx_runes import OkxRunes
from indexer.sources.solana_das import SolanaDas

SourceClass = type[OkxRunes] | type[SolanaDas] | type[Algorand] | type[Loopring] | type[Hedera]

SOURCES: Final[Mapping[str, SourceClass]] = MappingProxyType(
    {
        "okx_runes": OkxRunes,
        "solana_das": SolanaDas,
        "algorand": Algorand,
        "loopring": Loopring,
        "hedera": Hedera,
    }
)


def build(name: str, base_url_path: str, options: Mapping[str, str]) -> Source:
    """The source of this name, asking below the path of its ``base_url``."""
    if name not in SOURCES:
        raise UsageError(f"there is no source {name!r}; the sources are {', '.join(SOURCES)}")
    prefix = base_url_path.rstrip("/")
    if name == "okx_runes" and options.get("path"):
        return OkxRunes(prefix=prefix, path=options["path"])
    return SOURCES[name](prefix=prefix)
