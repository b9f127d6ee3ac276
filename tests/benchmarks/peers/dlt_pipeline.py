"""dlt as its documentation advises for this: rest_api source, Postgres by CSV (COPY), scd2 merge, 16 workers.

It keeps what the API says, every field in a column, as `indexer` keeps it. With ``narrow`` it is spared that:
rows are cut down to the six fields of a holding before dlt sees them, and nothing is kept of the assets.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

#: Read by dlt when it is imported.
os.environ.update(
    {
        "EXTRACT__WORKERS": "16",
        "NORMALIZE__WORKERS": "2",
        "LOAD__WORKERS": "4",
        "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
        "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "100000",
        "NORMALIZE__LOADER_FILE_FORMAT": "csv",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
)

import dlt  # type: ignore[import-not-found,unused-ignore]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found,unused-ignore]

Row = dict[str, Any]


def _keep_algorand(row: Row) -> Row:
    holding, asset = row["asset-holding"], row["asset-params"]
    return {
        "address": row["_accounts_address"],
        "asset": str(holding["asset-id"]),
        "amount": holding["amount"],
        "decimals": asset["decimals"],
        "name": asset["name"],
        "frozen": holding["is-frozen"],
    }


def _keep_hedera(row: Row) -> Row:
    return {
        "address": row["account_id"],
        "asset": row["token_id"],
        "serial": row["serial_number"],
        "spender": row["spender"],
        "metadata": row["metadata"],
        "modified": row["modified_timestamp"],
    }


_ENDPOINTS: Final[dict[str, Row]] = {
    "algorand": {
        "path": "v2/accounts/{resources.accounts.address}/assets",
        "params": {"limit": 1000},
        "data_selector": "asset-holdings",
        "paginator": {"type": "cursor", "cursor_path": "'next-token'", "cursor_param": "next"},
    },
    "hedera": {
        "path": "api/v1/accounts/{resources.accounts.address}/nfts",
        "params": {"limit": 100, "order": "asc"},
        "data_selector": "nfts",
        "paginator": {"type": "json_link", "next_url_path": "links.next"},
    },
}
_KEEP: Final = {"algorand": _keep_algorand, "hedera": _keep_hedera}


def make_source(given: Row) -> Any:
    """The REST source: accounts from the file, holdings of each in parallel."""
    addresses = Path(given["addresses"]).read_text(encoding="utf-8").split()

    @dlt.resource(name="accounts", selected=False)  # type: ignore[untyped-decorator,unused-ignore]
    def accounts() -> Any:
        yield [{"address": address} for address in addresses]

    holdings = {
        "name": "holdings",
        "endpoint": _ENDPOINTS[given["shape"]],
        "include_from_parent": ["address"],
        "parallelized": True,
        "write_disposition": {"disposition": "merge", "strategy": "scd2"},
        "processing_steps": [{"map": _KEEP[given["shape"]]}] if given.get("narrow") else [],
    }
    return rest_api_source({"client": {"base_url": given["base_url"]}, "resources": [accounts(), holdings]})


def _with_password(url: str) -> str:
    """dlt refuses a URL without a password, also where the server wants none."""
    parts = urlsplit(url)
    if parts.password is not None:
        return url
    return parts._replace(netloc=f"{parts.username}:unused@{parts.hostname}:{parts.port}").geturl()


def main() -> None:
    """One pipeline run."""
    given = json.loads(sys.argv[1])
    pipeline = dlt.pipeline(
        pipeline_name="benchmark",
        pipelines_dir=given["folder"],
        destination=dlt.destinations.postgres(_with_password(given["database_url"])),
        dataset_name="bench",
    )
    pipeline.run(make_source(given), loader_file_format="csv").raise_on_failed_jobs()


if __name__ == "__main__":
    main()
