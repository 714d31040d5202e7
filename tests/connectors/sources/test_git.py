"""Repositories: local ones, and one behind git's own HTTP server on loopback."""

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.errors import UsageError
from connectors.models import Due, Resource, Skipped
from connectors.settings import GitSource
from connectors.sources.git import Git
from connectors.sources.git_place import place


def git(folder, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", *who, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repo"
    (root / "docs" / "sub").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    for name, text in {
        "README": "Read me",
        "docs/a.md": "# A",
        "docs/sub/b c.md": "# B",
        "docs/big.bin": "x",
        "docs/large.txt": "l" * 2000,
        "docs/lfs.pdf": "version https://git-lfs.github.com/spec/v1\noid sha256:0",
        ".github/x.md": "hidden",
        "code.py": "print()",
    }.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (root / "docs" / "link.md").symlink_to("/etc/passwd")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    return root


async def read(where, *, known=None, headers=None, **options):
    async def look(uri):
        return Due(uri=uri, by="known", etag=known[uri]) if known and uri in known else None

    source = Git(GitSource(git=str(where), **options), known=look, headers=headers, max_bytes=1000)
    return [item async for item in source.read()]


def told(items):
    return {item.uri.partition("#path=")[2]: getattr(item, "rule", "read") for item in items}


async def test_every_file_has_one_outcome_and_hidden_ones_none(repository):
    assert told(await read(repository)) == {
        "README": "read",
        "code.py": "unsupported",
        "docs/a.md": "read",
        "docs/big.bin": "unsupported",
        "docs/large.txt": "too-large",
        "docs/lfs.pdf": "git-lfs",
        "docs/link.md": "symlink",
        "docs/sub/b%20c.md": "read",
    }


async def test_a_folder_and_a_revision_choose_what_is_read(repository):
    git(repository, "tag", "v1")
    (repository / "docs" / "a.md").write_text("# A2")
    git(repository, "commit", "-q", "-am", "two")
    (old,) = [item for item in await read(f"{repository}#v1:docs", include=("/a.md",)) if isinstance(item, Resource)]
    (new,) = [item for item in await read(f"{repository}#:docs", include=("/a.md",)) if isinstance(item, Resource)]
    assert (old.body, new.body) == (b"# A", b"# A2")
    assert old.uri == new.uri, "a page is the same at every revision"


async def test_only_changed_paths_are_read_again(repository):
    known = {item.uri: item.etag for item in await read(repository) if isinstance(item, Resource)}
    (repository / "docs" / "a.md").write_text("# A2")
    git(repository, "commit", "-q", "-am", "two")
    again = [item for item in await read(repository, known=known) if isinstance(item, Resource)]
    assert [item.body for item in again] == [None, b"# A2", None]


async def test_a_deleted_path_is_listed_no_more(repository):
    git(repository, "rm", "-q", "docs/a.md")
    git(repository, "commit", "-q", "-m", "gone")
    assert "docs/a.md" not in told(await read(repository))


async def test_a_submodule_is_not_followed(repository, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "x")
    git(repository, "submodule", "add", "-q", str(other), "docs/module.md")
    git(repository, "commit", "-q", "-m", "module")
    assert told(await read(repository))["docs/module.md"] == "submodule"


async def test_what_a_repository_configures_does_not_run(repository, tmp_path):
    canary = tmp_path / "canary"
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    script.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "attributes")
    for key in ("core.fsmonitor", "filter.evil.smudge", "diff.evil.textconv", "core.sshCommand", "core.pager"):
        git(repository, "config", key, str(script))
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction"):
        path = repository / ".git" / "hooks" / hook
        path.write_text(script.read_text())
        path.chmod(0o755)
    await read(repository)
    assert not canary.exists()


@pytest.mark.parametrize(
    "where",
    [
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch /tmp/x",
        "git://host/x",
        "ftp://host/x",
        "https://",
        "https://host/x#--output=/tmp/x",
        "https://host/x#a..b",
        "https://host/x#main:../..",
        "fd::3",
        "/nowhere/at/all",
    ],
)
def test_an_address_that_git_must_not_get_is_refused(where):
    with pytest.raises(UsageError):
        place(where)


@pytest.mark.parametrize("where", ["#nothere", "#main:nofolder"])
async def test_a_missing_revision_or_folder_is_a_mistake_of_the_user(repository, where):
    with pytest.raises(UsageError, match="There is no"):
        await read(f"{repository}{where}")


def test_a_page_on_a_known_host_can_be_opened():
    assert place("https://github.com/o/r.git#v1:docs").uri("docs/a b.md") == (
        "https://github.com/o/r/blob/HEAD/docs/a%20b.md"
    )
    assert place("https://user:pw@host.example/r.git").uri("a.md") == "https://host.example/r.git#path=a.md"


class Backend(BaseHTTPRequestHandler):
    """git's own HTTP server program behind Python's."""

    root = ""
    asked: list

    def do_GET(self):
        type(self).asked.append((self.path, self.headers.get("Authorization")))
        if "/rude" in self.path:
            line = b"ERR \x1b[31m\xc2\x9b2J red \xe2\x80\xaetfel\n"
            packet = b"%04x%s0000" % (len(line) + 4, line)
            service = b"# service=git-upload-pack\n"
            self.send_response(200)
            self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
            self.end_headers()
            self.wfile.write(b"%04x%s0000%s" % (len(service) + 4, service, packet))
            return
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/away", "/repo"))
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": self.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        fields = [line.decode().split(": ", 1) for line in head.split(b"\r\n")]
        status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
        self.send_response(status)
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(rest)

    do_POST = do_GET  # noqa: N815 - the standard library asks by this name

    def log_message(self, *_):
        pass


@pytest.fixture
def server(repository):
    handler = type("Handler", (Backend,), {"root": str(repository.parent), "asked": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{made.server_port}/repo/.git"
    made.asked = handler.asked
    yield made
    made.shutdown()
    made.server_close()


async def test_a_repository_is_fetched_over_http_at_a_branch_and_at_a_commit(server, repository):
    commit = git(repository, "rev-parse", "HEAD").stdout.strip()
    (repository / "docs" / "a.md").write_text("# A2")
    git(repository, "commit", "-q", "-am", "two")
    for revision, body in (("main", b"# A2"), (commit, b"# A"), (commit[:10], b"# A")):
        items = await read(f"{server.url}#{revision}:docs", include=("/a.md",))
        assert [item.body for item in items if isinstance(item, Resource)] == [body], revision


async def test_a_redirect_is_not_followed(server):
    with pytest.raises(UsageError, match="cannot be read"):
        await read(server.url.replace("/repo", "/away"))
    assert not [path for path, _ in server.asked if path.startswith("/repo")]


async def test_secrets_go_to_the_server_and_nowhere_else(server):
    secret = "hush-hush"
    items = await read(server.url.replace("127", f"me:{secret}@127"), headers={"X-Key": "key-canary"})
    assert server.asked[0][1] == "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    assert secret not in repr(items)
    with pytest.raises(UsageError) as caught:
        await read(server.url.replace("127", f"me:{secret}@127") + "x", headers={"X-Key": "key-canary"})
    assert secret not in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_nothing_is_left_behind(server, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert [item for item in await read(server.url) if isinstance(item, Skipped)]
    assert list(scratch.iterdir()) == []


async def test_a_name_that_is_no_text_is_a_file_like_any_other(repository):
    (repository / "docs" / os.fsdecode(b"\xff\x1b[31m\n.md")).write_text("# Odd")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "odd")
    (odd,) = [item for item in await read(f"{repository}#main:docs") if "%FF" in item.uri]
    assert odd.uri.endswith("#path=docs/%FF%1B%5B31m%0A.md")
    assert odd.body == b"# Odd"


async def test_what_a_server_says_through_git_does_not_steer_the_terminal(server):
    with pytest.raises(UsageError) as caught:
        await read(server.url + "/rude")
    assert "red" in str(caught.value)
    assert str(caught.value).isprintable()


def tree_bomb(root, *, levels, width):
    """Make a repository whose few objects name ``width ** levels`` files."""
    root.mkdir()
    git(root, "init", "-q", "-b", "main")

    def made(*words, given):
        env = {"PATH": os.environ["PATH"], "HOME": str(root)}
        return subprocess.run(["git", *words], cwd=root, env=env, input=given, capture_output=True, check=True).stdout

    sha = made("hash-object", "-w", "--stdin", given=b"# A").strip().decode()
    kind = "100644 blob"
    for _ in range(levels):
        entries = "".join(f"{kind} {sha}\tf{number}.md\n" for number in range(width))
        sha, kind = made("mktree", given=entries.encode()).strip().decode(), "040000 tree"
    commit = git(root, "commit-tree", sha, "-m", "bomb").stdout.strip()
    git(root, "update-ref", "refs/heads/main", commit)
    return root


async def test_a_few_objects_that_name_a_billion_files_end_at_the_cap(tmp_path):
    root = tree_bomb(tmp_path / "bomb", levels=9, width=10)
    with pytest.raises(UsageError, match=r"more than 5,000 files: name a folder"):
        _ = [item async for item in Git(GitSource(git=str(root)), max_files=5000).read()]
    assert len(await read(f"{root}#main:f0.md/f0.md/f0.md/f0.md/f0.md/f0.md/f0.md")) == 100


async def test_a_server_that_sends_without_end_is_cut_off(server):
    """What git has on disk is watched while it fetches: its own limits are none."""
    source = Git(GitSource(git=server.url), max_repository=1000)
    with pytest.raises(UsageError, match="larger than 1,000 bytes"):
        _ = [item async for item in source.read()]
