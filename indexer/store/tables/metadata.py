"""The schema object and the two domains every table shares."""

from typing import Final

from sqlalchemy import MetaData, Numeric
from sqlalchemy.dialects.postgresql import DOMAIN, TIMESTAMP

metadata: Final = MetaData(
    schema="ledger",
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    },
)

#: Whole base units 0 … 2^256-1. NUMERIC(78,0) would store 1.5 as 2 and admit NaN; this refuses both.
EXACT_AMOUNT: Final = DOMAIN("exact_amount", Numeric(), schema="ledger", create_type=False)

#: A finite instant. 'infinity' is a legal timestamptz and defeats half-open spans.
INSTANT: Final = DOMAIN("instant", TIMESTAMP(timezone=True), schema="ledger", create_type=False)
