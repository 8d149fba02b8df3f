"""What a cut-over did to DNS survives the journal, and a finalize waits for it."""

from __future__ import annotations

import json

import pytest

from portable.migrate.cutover import Cut
from portable.migrate.journal import CUT_OVER, End, Entry, Header, Record
from portable.migrate.steps import cut_over
from portable.provider import Record as DnsRecord

pytestmark = pytest.mark.unit

HEADER = Header("ab12", "shop", None, End("one", "a"), End("two", "b"), False, "2026-01-01", "me")


def test_a_cut_comes_back_out_of_the_journal_as_it_was() -> None:
    written = DnsRecord("shop.example.com", "A", ("192.0.2.7",), 30)
    by_hand = DnsRecord("www.example.com", "CNAME", ("lb.example.net",), 30, (1,))
    cut = Cut(100, 1_700_000_000.5, 30, (written,), (by_hand,))
    facts = json.loads(json.dumps({"dns": cut_over._told(cut)}))
    record = Record(HEADER, (Entry(CUT_OVER, "done", "now", "me", 1.0, facts),))
    assert cut_over.cut_of(record) == cut


def test_before_the_cut_over_there_is_none() -> None:
    assert cut_over.cut_of(Record(HEADER, ())) is None
