"""Writes what risk.py states about one order, for the test that reads it in Rust."""

import json

from risk import assess

HEADERS = {
    "ce_id": "0190b6c4-7d7c-7cc2-b8e5-0f5d7a2c9a01",
    "ce_source": "/quadrille/order",
    "ce_correlationid": "0190b6c4-7d7c-7cc2-b8e5-0f5d7a2c9a02",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
ORDER = {"order": "o-1", "total": {"minor": 150_000, "currency": "EUR"}}

print(json.dumps(assess(HEADERS, ORDER, "2026-01-02T03:04:05+00:00"), indent=2))
