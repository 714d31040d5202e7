from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def run(*words, env=None, timeout=60):
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )


COMMANDS = ["import", "sync", "retry", "verify", "preview", "explain", "status", "ask", "chats", "ui", "serve"]


def test_every_command_is_listed_and_none_is_imported():
    code = (
        "import sys\nfrom flows import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'prefect', 'fastapi', 'sqlalchemy', 'pydantic', 'httpx', 'lxml'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "heavy: []" in told.stdout
    for command in [*COMMANDS, "persona"]:
        assert f"  {command} " in told.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_with_an_example_and_without_prefect(command):
    code = (
        "import sys\nfrom flows import cli\n"
        f"try: cli.main(['{command}', '--help'])\nexcept SystemExit: pass\n"
        "print('heavy:', sorted({'prefect', 'fastapi', 'sqlalchemy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    assert f"persona-ingest {command}" in told.partition("Example")[2]
    assert "heavy: []" in told


@pytest.mark.parametrize("words", [["status"], ["explain", "https://docs.example.com/"]])
def test_who_only_looks_at_the_ledger_loads_neither_models_nor_clients(words, tmp_path):
    code = (
        "import sys\nfrom flows import cli\n"
        f"try: cli.main({[*words, '--state', str(tmp_path)]})\nexcept SystemExit as end: print('code:', end.code)\n"
        "print('heavy:', sorted({'prefect', 'fastapi', 'sqlalchemy', 'pydantic', 'httpx', 'lxml'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    assert "code: 0" in told
    assert "heavy: []" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import"], "URL_OR_PATH"),
        (["nonsense"], "nonsense"),
        (["improt", "x"], "Did you mean 'import'?"),
        (["import", "ftp://example.com/"], "ftp://"),
        (["import", "--nonsense", "x"], "--nonsense"),
        (["import", "docs.example.com"], "https://docs.example.com"),
        (["import", "/no/such/folder"], "/no/such/folder"),
        (["import", "http://127.0.0.1:1/", "--batch-size", "0"], "--batch-size"),
        (["import", "http://127.0.0.1:1/", "--max-pages", "many"], "--max-pages"),
        (["import", "http://127.0.0.1:1/", "--include", "[a"], "--include"),
        (["import", "http://127.0.0.1:1/", "--select", "div["], "--select"),
        (["import", "http://127.0.0.1:1/", "--persona-url", "persona"], "--persona-url"),
        (["import", "http://"], "http://"),
        (["import", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "--name", "x"], "--name"),
        (["import", "http://127.0.0.1:1/", "--header", "no header"], "header"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_exit_code_2(words, said, tmp_path):
    told = run(*words, env={"PERSONA_INGEST_STATE": str(tmp_path)})
    assert told.returncode == 2, told.stderr
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""


def test_a_wrong_word_with_json_still_prints_one_object(tmp_path):
    told = run("import", "docs.example.com", "--json", "--state", str(tmp_path))
    assert told.returncode == 2
    answer = json.loads(told.stdout)
    assert answer["exit_code"] == 2
    assert "https://docs.example.com" in answer["error"]


def test_debug_shows_where_it_happened(tmp_path):
    told = run("import", "docs.example.com", "--debug", "--state", str(tmp_path))
    assert "Traceback" in told.stderr


def test_a_wrong_address_in_the_environment_is_named(tmp_path):
    told = run("retry", "--state", str(tmp_path), env={"PERSONA_BASE_URL": "nowhere"})
    assert told.returncode == 2
    assert "PERSONA_BASE_URL" in told.stderr


def test_a_state_that_cannot_be_written_stops_with_3(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    told = run("status", "--state", str(file / "below"))
    assert told.returncode == 3, told.stderr
    assert "Traceback" not in told.stderr
    assert "--state" in told.stderr


def test_status_of_nothing_says_what_to_do(tmp_path):
    told = run("status", "--state", str(tmp_path))
    assert told.returncode == 0, told.stderr
    assert "persona-ingest import" in told.stdout


def test_what_any_library_prints_cannot_spoil_the_object():
    code = (
        "import os, sys\nfrom flows.commands.frame import Frame\n"
        "frame = Frame.of(['x', '--json'])\nprint('noise'); os.write(1, b'noise'); os.system('echo noise')\n"
        "frame.say({'a': 1}); frame.close(0)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert json.loads(told.stdout) == {"a": 1, "exit_code": 0}
    assert told.stderr.count("noise") == 3


def test_preview_of_what_would_not_be_sent_exits_with_1(tmp_path):
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "page.md").write_text("# A page\n\nWith a sentence that is worth sending.\n")
    nothing, something = run("preview", str(tmp_path / "empty.md")), run("preview", str(tmp_path / "page.md"))
    assert (nothing.returncode, something.returncode) == (1, 0)
    assert "Nothing would be sent: empty" in nothing.stdout
    assert something.stdout.count("title:") == 1


def test_a_path_is_explained_as_the_file_that_it_names(tmp_path):
    told = run("explain", "handbook/a b.pdf", "--json", "--state", str(tmp_path))
    assert json.loads(told.stdout)["runs"] == []
    assert told.returncode == 0, told.stderr


def test_preview_lists_what_it_reads_a_page_by_and_takes_the_other_options_of_import(tmp_path):
    from click.testing import CliRunner

    from flows.cli import cli
    from flows.commands.frame import Frame

    told = CliRunner().invoke(cli, ["preview", "--help"], obj=Frame()).output
    assert "--select" in told
    assert not {"--delivery", "--batch-size", "--attempts", "--no-prompts", "--max-pages"} & set(told.split())
    (tmp_path / "a.txt").write_text("Words of a page.")
    words = ["preview", str(tmp_path / "a.txt"), "--delivery", "stream", "--no-prompts"]
    assert CliRunner().invoke(cli, words, obj=Frame(), standalone_mode=False).return_value == 0


def test_a_check_tells_globs_and_selectors_that_can_never_match(tmp_path):
    from click.testing import CliRunner

    from connectors.errors import UsageError
    from flows.cli import cli
    from flows.commands.frame import Frame

    path = tmp_path / "sources.yaml"
    path.write_text(
        "sources:\n"
        "  - {name: a, website: 'https://a.example/', include: ['[a']}\n"
        "  - {name: b, website: 'https://b.example/', select: ':::'}\n"
    )
    done = CliRunner().invoke(cli, ["sync", "--check", "--config", str(path)], obj=Frame(), standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert [line.split(": ")[0] for line in str(done.exception).splitlines()] == ["a", "b"]
