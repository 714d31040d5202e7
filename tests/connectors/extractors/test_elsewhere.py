"""Cleaning on other machines: what is lost there is done again, and a page that ends its workers is named."""

import asyncio
import threading
from pathlib import Path

import pytest

from connectors.errors import FatalError
from connectors.extractors import chunk, wire, work
from connectors.extractors.elsewhere import Elsewhere, WorkersLostError
from connectors.models import CleaningRules, Resource

RULES = CleaningRules()
PAGES = [path for path in sorted(Path(__file__).parent.rglob("*")) if path.suffix in {".html", ".md", ".docx"}][:12]
POISON = b"this page ends whatever reads it"


def resource(number, body=b""):
    uri = f"http://a.example/{number}"
    words = f"<title>{number}</title><main><p>Sentence {number} of a page with some words in it.</p></main>".encode()
    kind = "" if body else "text/html"
    return Resource(uri=uri, requested_uri=uri, media_type=kind, body=body or words)


@pytest.fixture(scope="module", autouse=True)
def _bench_is_cleared():
    """The far end's processes stay warm for as long as their machine is a worker: here, for this file."""
    yield
    bench = chunk._bench()
    for pool in bench.free:
        asyncio.run_coroutine_threadsafe(pool.close(), bench.loop).result(30)
    bench.loop.call_soon_threadsafe(bench.loop.stop)
    chunk._bench.cache_clear()


class Cluster:
    """Workers that are threads of this process; ``clean`` is the true far end's unless a test says otherwise."""

    def __init__(self, workers=2):
        self.workers = workers
        self.chunks = []
        self.now = self.most = 0
        self.closed = False
        self._lock = threading.Lock()

    def open(self):
        pass

    def slots(self):
        return self.workers

    def clean(self, frames, version):
        with self._lock:
            self.chunks.append([wire.read_request(head[wire.LENGTHS.size :], body)[0].uri for head, body in frames])
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.carry_out(frames, version)
        finally:
            with self._lock:
                self.now -= 1

    def carry_out(self, frames, version):
        return chunk.clean_chunk(frames, version)

    def close(self):
        self.closed = True


class Deadly(Cluster):
    """Its workers end with every chunk that holds the poison, and say nothing of which page it was."""

    def carry_out(self, frames, version):
        if any(POISON in body for _, body in frames):
            raise WorkersLostError("4 workers died")
        return [wire.answer(work.drafted(*wire.read_request(head[wire.LENGTHS.size :], body))) for head, body in frames]


@pytest.fixture
async def elsewhere():
    made = []

    def make(cluster, **options):
        made.append(Elsewhere(cluster=cluster, look_s=0.02, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_the_same_pages_come_back_as_from_this_machine_byte_for_byte(elsewhere):
    items = [resource(number, body) for number, body in enumerate(path.read_bytes() for path in PAGES)]
    assert items
    cleaners = elsewhere(Cluster())
    far = await asyncio.gather(*(cleaners.clean(item, RULES) for item in items))
    near = [work.drafted(item, RULES) for item in items]
    assert [wire.answer(out) for out in far] == [wire.answer(out) for out in near]


async def test_items_travel_in_chunks_and_each_is_answered_with_its_own_page(elsewhere):
    cluster = Deadly(workers=3)
    cleaners = elsewhere(cluster, chunk=8)
    outs = await asyncio.gather(*(cleaners.clean(resource(number), RULES) for number in range(64)))
    assert [out.pages[0].title for out in outs] == [str(number) for number in range(64)]
    assert max(map(len, cluster.chunks)) == 8
    assert len(cluster.chunks) == 8
    assert cluster.most <= 3


async def test_one_item_alone_does_not_wait_for_a_full_chunk(elsewhere):
    out = await asyncio.wait_for(elsewhere(Deadly()).clean(resource(1), RULES), 20)
    assert out.pages[0].title == "1"


async def test_a_page_that_ends_its_workers_is_named_and_its_neighbours_come_through(elsewhere):
    cluster = Deadly(workers=4)
    cleaners = elsewhere(cluster, chunk=8)
    items = [resource(number, POISON if number in {3, 20} else b"") for number in range(40)]
    outs = await asyncio.gather(*(cleaners.clean(item, RULES) for item in items))
    assert [number for number, out in enumerate(outs) if out.problem] == [3, 20]
    assert outs[3].problem == "killed-crash"
    assert "nothing else in work" in outs[3].detail
    assert [uris for uris in cluster.chunks if uris in (["http://a.example/3"], ["http://a.example/20"])] == [
        ["http://a.example/3"],
        ["http://a.example/20"],
    ]


async def test_an_answer_of_another_length_is_no_answer(elsewhere):
    class Short(Deadly):
        def carry_out(self, frames, version):
            return super().carry_out(frames, version)[1:]

    out = await elsewhere(Short()).clean(resource(1), RULES)
    assert (out.problem, "1 items were sent, 0 came back" in out.detail) == ("killed-crash", True)


async def test_a_machine_with_another_version_stops_the_run_and_says_what_to_do(elsewhere):
    class Old(Cluster):
        def carry_out(self, frames, version):
            return chunk.clean_chunk(frames, "another")

    with pytest.raises(FatalError, match="install the same one everywhere"):
        await elsewhere(Old()).clean(resource(1), RULES)


async def test_a_cluster_without_workers_stops_the_run_after_a_while_and_resumably(elsewhere):
    cleaners = elsewhere(Cluster(workers=0), patience_s=0.1)
    with pytest.raises(FatalError, match="goes on where this one stopped"):
        await cleaners.clean(resource(1), RULES)


async def test_what_takes_the_call_and_says_nothing_does_not_hold_the_run(elsewhere):
    class Mute(Cluster):
        def open(self):
            threading.Event().wait(5)

    with pytest.raises(FatalError, match="did not answer for"):
        await asyncio.wait_for(elsewhere(Mute(), connect_s=0.1).clean(resource(1), RULES), 4)


async def test_when_the_cluster_is_gone_everybody_who_waits_hears_of_it(elsewhere):
    class Gone(Cluster):
        def carry_out(self, frames, version):
            raise FatalError("The connection is lost.")

    cleaners = elsewhere(Gone(workers=1), chunk=2)
    outs = await asyncio.gather(*(cleaners.clean(resource(n), RULES) for n in range(9)), return_exceptions=True)
    assert {str(out) for out in outs} == {"The connection is lost."}
    with pytest.raises(FatalError, match="lost"):
        await cleaners.clean(resource(1), RULES)


async def test_close_lets_go_of_the_cluster_and_of_everybody_who_waits():
    class Slow(Cluster):
        def carry_out(self, frames, version):
            begun.set()
            threading.Event().wait(0.3)
            return super().carry_out(frames, version)

    begun = threading.Event()
    cluster = Slow(workers=1)
    cleaners = Elsewhere(cluster=cluster, chunk=1)
    tasks = [asyncio.ensure_future(cleaners.clean(resource(number), RULES)) for number in range(3)]
    await asyncio.to_thread(begun.wait, 10)
    await cleaners.close()
    assert cluster.closed
    outs = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(out, asyncio.CancelledError) for out in outs)


def test_a_chunk_keeps_its_cleaners_warm_and_their_limits_hold():
    first = chunk.clean_chunk([wire.request(resource(1), RULES)], chunk.own_version())
    bench = chunk._bench()
    pids = [pid for pool in bench.free for pid in pool.pids()]
    second = chunk.clean_chunk([wire.request(resource(1), RULES)], chunk.own_version())
    assert first == second
    assert pids == [pid for pool in bench.free for pid in pool.pids()]
    assert "Seccomp:\t2" in Path(f"/proc/{pids[0]}/status").read_text()
    assert "Max core file size        0 " in Path(f"/proc/{pids[0]}/limits").read_text()
