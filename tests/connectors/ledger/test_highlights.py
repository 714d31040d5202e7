"""What a report lists beside the numbers, on both databases."""

from __future__ import annotations

from connectors.models import Skipped

HERE = "https://docs.example/"


async def test_the_lists_are_this_runs_own_in_order_and_bounded(ledger, begin):
    first = await begin()
    await ledger.skip(first, Skipped(uri=f"{HERE}old", rule="timeout", outcome="failed", seconds=99.0))
    await ledger.keep_findings(first, [(f"{HERE}old", "Old", "thin")])
    await ledger.finish(first, state="completed", complete=True, summary={})
    run = await begin()
    for n, seconds in enumerate((0.0, 3.0, 1.0, 2.0)):
        await ledger.skip(run, Skipped(uri=f"{HERE}{n}", rule="http-404", seconds=seconds))
    await ledger.keep_findings(run, [(f"{HERE}{n}", f"Article {n}", "thin") for n in range(3)])
    told = await ledger.highlights(run, slowest=2, most=2)
    assert told.slowest == ((f"{HERE}1", 3.0, "skipped"), (f"{HERE}3", 2.0, "skipped"))
    assert told.findings == ((f"{HERE}0", "Article 0", "thin"), (f"{HERE}1", "Article 1", "thin"))
    assert told.removed == ()
    assert len((await ledger.highlights(run, slowest=9, most=9)).slowest) == 3
