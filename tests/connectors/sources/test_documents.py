"""The documents of a folder: each once, in order, whatever lies there."""

import os
import threading
import time

import fsspec
import pytest

from connectors.errors import UsageError
from connectors.models import Due, Resource, Skipped
from connectors.settings import DocumentsSource
from connectors.sources.documents import Documents
from connectors.sources.documents_local import LocalFiles
from connectors.sources.documents_store import StillChangingError


async def read(where, *, known=None, max_bytes=1_000_000, **options):
    memory = known or {}

    async def look(uri):
        return Due(uri=uri, by="known", etag=memory[uri]) if uri in memory else None

    source = Documents(DocumentsSource(documents=str(where), **options), known=look, max_bytes=max_bytes)
    return [item async for item in source.read()]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "handbook"
    for name in ("b.md", "a.txt", "sub/c.pdf", "sub/deeper/d.html", "README", ".hidden.md", ".git/config", "x.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def names(items, folder):
    return [item.uri.removeprefix(folder.as_uri() + "/") for item in items]


async def test_every_file_is_yielded_once_by_path_and_hidden_ones_never(folder):
    items = await read(folder)
    assert names(items, folder) == ["README", "a.txt", "b.md", "sub/c.pdf", "sub/deeper/d.html", "x.png"]
    assert [item.rule for item in items if isinstance(item, Skipped)] == ["unsupported"]
    assert {item.body for item in items[:2]} == {b"README", b"a.txt"}


async def test_a_single_file_is_a_source_of_its_own(folder):
    (item,) = await read(folder / "b.md")
    assert (item.uri, item.media_type, item.body) == ((folder / "b.md").as_uri(), "text/markdown", b"b.md")


async def test_a_folder_that_does_not_exist_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UsageError, match="name a folder or file that exists"):
        await read(tmp_path / "none")


async def test_a_file_over_the_limit_is_skipped_and_the_next_still_comes(folder):
    (folder / "a.txt").write_bytes(b"x" * 101)
    items = await read(folder, max_bytes=100)
    assert items[1].rule == "too-large"
    assert isinstance(items[2], Resource)


async def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "out").symlink_to(tmp_path)
    (folder / "inside.txt").symlink_to(folder / "a.txt")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    by_name = dict(zip(names(items := await read(folder), folder), items, strict=True))
    assert by_name["link.txt"].rule == "symlink-outside"
    assert by_name["out"].rule == "symlink-outside"
    assert by_name["loop.txt"].rule == "unreadable"
    assert by_name["inside.txt"].body == b"a.txt"


async def test_a_pipe_does_not_stop_the_reading(folder):
    os.mkfifo(folder / "pipe.txt")
    assert "not-a-file" in {item.rule for item in await read(folder) if isinstance(item, Skipped)}


async def test_globs_choose_by_path_below_the_folder(folder):
    items = await read(folder, include=("/sub/**", "*.md"), exclude=("*.html",))
    told = {name: getattr(item, "rule", "read") for name, item in zip(names(items, folder), items, strict=True)}
    assert told["sub/c.pdf"] == told["b.md"] == "read"
    assert told["a.txt"] == "not-included"
    assert told["sub/deeper/d.html"] == "excluded"


async def test_an_unchanged_file_is_not_read_again(folder):
    old = time.time() - 3600
    os.utime(folder / "b.md", (old, old))
    (first,) = await read(folder / "b.md")
    (second,) = await read(folder / "b.md", known={first.uri: first.etag})
    assert (second.body, second.etag) == (None, first.etag)


async def test_a_touched_file_with_the_same_bytes_is_not_modified(folder):
    (first,) = await read(folder / "b.md")
    os.utime(folder / "b.md", (1, 1))
    (second,) = await read(folder / "b.md", known={first.uri: first.etag})
    assert second.body is None


async def test_a_change_that_keeps_size_and_time_is_seen_when_it_came_in_the_same_tick(folder):
    path = folder / "b.md"
    (first,) = await read(path)
    stamp = path.stat().st_mtime_ns
    path.write_bytes(b"x.md")
    os.utime(path, ns=(stamp, stamp))
    (second,) = await read(path, known={first.uri: first.etag})
    assert second.body == b"x.md"


async def test_a_file_that_is_written_to_while_it_is_read_is_read_again_or_reported(folder):
    path = folder / "grows.txt"
    path.write_bytes(b"0" * 5_000_000)
    stop = threading.Event()

    def write():
        digit = 0
        while not stop.is_set():
            digit = (digit + 1) % 10
            path.write_bytes(str(digit).encode() * 5_000_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        items = [(await read(path, max_bytes=10_000_000))[0] for _ in range(20)]
    finally:
        stop.set()
        writer.join()
    for item in items:
        if isinstance(item, Resource):
            assert len(set(item.body)) <= 1, "a mixture of two versions"
        else:
            assert (item.rule, item.fault) == ("changing", True)


def test_a_file_that_grows_under_the_reader_is_noticed(tmp_path):
    path = tmp_path / "log.txt"
    path.touch()
    os.truncate(path, 300_000_000)  # sparse: long to read, no room on the disk
    files = LocalFiles(tmp_path)
    (entry,) = files.entries()
    stop = threading.Event()

    def append():
        with path.open("ab", buffering=0) as file:
            while not stop.wait(0.0005):
                file.write(b"x")

    writer = threading.Thread(target=append)
    writer.start()
    try:
        with pytest.raises(StillChangingError):
            files.read(entry)
    finally:
        stop.set()
        writer.join()


async def test_the_rest_is_named_when_the_limit_of_documents_is_reached(folder):
    items = await read(folder, max_pages=2)
    assert [getattr(item, "rule", "read") for item in items] == ["read", "read", *["max-pages"] * 4]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_what_may_not_be_read_is_a_fault_and_the_rest_comes(folder):
    (folder / "a.txt").chmod(0)
    (folder / "sub").chmod(0)
    items = await read(folder)
    assert {item.rule for item in items if isinstance(item, Skipped) and item.fault} == {
        "unreadable",
        "unreadable-folder",
    }


@pytest.fixture
def bucket():
    system = fsspec.filesystem("memory")
    for name in ("a b.md", "sub/c.txt", ".hidden.md"):
        system.pipe(f"/bucket/docs/{name}", name.encode())
    yield system
    system.rm("/bucket", recursive=True)


async def test_a_bucket_is_read_like_a_folder(bucket):
    items = await read("memory://bucket/docs")
    assert [item.uri for item in items] == ["memory:///bucket/docs/a%20b.md", "memory:///bucket/docs/sub/c.txt"]
    assert [item.body for item in items] == [b"a b.md", b"sub/c.txt"]
    again = await read("memory://bucket/docs", known={item.uri: item.etag for item in items})
    assert [item.body for item in again] == [None, None]


async def test_a_single_object_of_a_bucket_is_read(bucket):
    (item,) = await read("memory://bucket/docs/sub/c.txt")
    assert item.body == b"sub/c.txt"


async def test_an_empty_bucket_is_a_mistake_of_the_user(bucket):
    with pytest.raises(UsageError, match="no documents"):
        await read("memory://bucket/none")


@pytest.mark.parametrize("where", ["http://127.0.0.1/x", "ssh://host/x", "zip://x::http://127.0.0.1/", "ftp://h/x"])
async def test_an_address_that_would_go_round_the_guarded_door_is_refused(where):
    with pytest.raises(UsageError, match="cannot be read from"):
        await read(where)


async def test_a_missing_extra_is_named():
    pytest.importorskip("fsspec")
    try:
        import s3fs  # noqa: F401

        pytest.skip("the extra is installed")
    except ImportError:
        pass
    with pytest.raises(UsageError, match=r"persona-ingest\[s3\]"):
        await read("s3://bucket/docs")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux says which file is open")  # noqa: PTH112
@pytest.mark.parametrize("swap", ["file", "folder", "device"])
async def test_a_file_that_is_swapped_for_a_link_after_it_was_listed_is_not_read(folder, tmp_path, swap):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c.pdf").write_text("a secret of somebody else")
    store = LocalFiles(folder)
    (entry,) = [entry for entry in store.entries() if entry.path == "sub/c.pdf"]
    place = folder / "sub" / "c.pdf"
    if swap == "folder":
        (folder / "sub").rename(tmp_path / "moved")
        (folder / "sub").symlink_to(outside)
    else:
        place.unlink()
        place.symlink_to("/dev/zero" if swap == "device" else outside / "c.pdf")
    with pytest.raises(OSError, match=r"any more|leads out"):
        store.read(entry)
