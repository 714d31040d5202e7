"""The sources file: every mistake named by line and key, secrets left where they are."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from connectors.errors import UsageError
from connectors.settings import DocumentsSource, FeedSource, GitSource, SitemapSource, WebsiteSource
from connectors.sources.catalogue import json_schema, load_catalogue

SCHEMA = Path(__file__).parents[3] / "docs" / "sources.schema.json"

GOOD = """
sources:
  - name: docs
    website: https://docs.example.com/
    max-pages: 500
    header: "Authorization: Bearer ${TOKEN}"
    exclude: [/old/**, "*.pdf"]
  - documents: ./handbook
    no-prompts: true
  - name: blog
    feed: https://blog.example.com/feed.xml
  - name: map
    sitemap: https://example.com/sitemap.xml
    include: /help/**
  - git: https://git.example.com/docs.git#main:docs
"""


@pytest.fixture
def load(tmp_path):
    def read(text, **environment):
        path = tmp_path / "sources.yaml"
        path.write_text(text, encoding="utf-8")
        return load_catalogue(path, environment)

    return read


def mistakes(load, text, **environment):
    with pytest.raises(UsageError) as caught:
        load(text, **environment)
    return str(caught.value).splitlines()


def test_every_kind_of_source_is_read_in_the_order_of_the_file(load):
    sources = load(GOOD, TOKEN="x")
    assert [type(source) for source in sources] == [
        WebsiteSource,
        DocumentsSource,
        FeedSource,
        SitemapSource,
        GitSource,
    ]
    assert sources[0].max_pages == 500
    assert sources[0].exclude == ("/old/**", "*.pdf")
    assert sources[1].prompts is False
    assert sources[3].include == ("/help/**",)


def test_a_source_without_a_name_is_called_by_its_address(load):
    assert [source.name for source in load(GOOD, TOKEN="x")][1::3] == [
        "./handbook",
        "https://git.example.com/docs.git#main:docs",
    ]


def test_a_relative_folder_is_read_from_where_the_file_lies(load, tmp_path):
    assert load(GOOD, TOKEN="x")[1].documents == str(tmp_path.resolve() / "handbook")


def test_a_secret_is_checked_and_stays_a_name(load):
    assert load(GOOD, TOKEN="hush")[0].header == ("Authorization: Bearer ${TOKEN}",)
    assert mistakes(load, GOOD) == ["sources.yaml:6: header: the environment variable TOKEN is not set"]


def test_a_variable_outside_a_header_is_refused(load):
    text = "sources:\n  - website: https://${HOST}/\n"
    assert mistakes(load, text, HOST="x")[0] == "sources.yaml:2: website: ${HOST} may stand in 'header' only"


def test_all_mistakes_are_told_at_once_with_line_key_and_what_is_allowed(load):
    told = mistakes(
        load,
        """sources:
  - website: https://a.example/
    delivery: stram
    max_pages: 5
    colour: red
  - feed: nothing
  - feed: https://a.example/f
    git: x
  - name: nameless
  - 3
""",
    )
    assert told[0] == "sources.yaml:3: delivery: must be one of 'store' or 'stream', not 'stram'"
    assert told[1] == "sources.yaml:4: 'max_pages' is no key of a source; did you mean 'max-pages'?"
    assert told[2].startswith("sources.yaml:5: 'colour' is no key of a source; allowed are delivery, batch-size")
    assert told[3].startswith("sources.yaml:6: feed: 'nothing' is no web address")
    assert told[4].startswith("sources.yaml:7: feed and git in one entry")
    assert told[5].startswith("sources.yaml:9: an entry without an address: it needs exactly one of website")
    assert told[6].startswith("sources.yaml:10: an entry must have a key")


def test_two_entries_of_one_name_are_refused(load):
    text = "sources:\n- {name: a, website: https://a.example/}\n- {name: a, website: https://b.example/}\n"
    assert mistakes(load, text) == ["sources.yaml:3: the name 'a' is taken by the entry in line 2"]


def test_a_key_that_stands_twice_is_refused(load):
    text = "sources:\n- website: https://a.example/\n  website: https://b.example/\n"
    assert mistakes(load, text) == ["sources.yaml:3: 'website' stands twice"]


@pytest.mark.parametrize(
    "text", ["", "[]", "sources: 3", "sources: [", "\t", "a: b", "sources: {}", "- website: https://a.example/"]
)
def test_what_is_no_list_of_sources_is_told_with_a_line(load, text):
    assert all(line.startswith("sources.yaml:") for line in mistakes(load, text))


def test_a_python_object_in_the_file_is_not_made(load):
    mistakes(load, "sources:\n- website: !!python/object/apply:os.system ['true']\n")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_catalogue(tmp_path / "none.yaml", {})


def test_the_published_schema_is_current():
    assert json.loads(SCHEMA.read_text()) == json_schema(), (
        "run: python -m connectors.sources.catalogue > docs/sources.schema.json"
    )


def test_the_schema_agrees_with_the_reader(load):
    schema = jsonschema.Draft202012Validator(json_schema())
    assert schema.is_valid(yaml.safe_load(GOOD))
    for wrong in ("max_pages: 5", "delivery: stram", "max-pages: 0", "git: x"):
        text = f"sources:\n- website: https://a.example/\n  {wrong}\n"
        assert not schema.is_valid(yaml.safe_load(text)), wrong
        mistakes(load, text)


def test_a_repeated_name_and_a_place_that_nothing_reads_are_told_beside_other_mistakes(load):
    text = """sources:
  - {name: a, website: https://a.example/, colour: red}
  - {name: a, feed: nothing}
  - {name: b, git: "ftp://git.example/r"}
  - {name: c, documents: "ftp://files.example/r"}
"""
    told = mistakes(load, text)
    assert [line.partition(": ")[0] for line in told] == [f"sources.yaml:{number}" for number in (2, 3, 3, 4, 5)]
    assert "the name 'a' is taken by the entry in line 2" in "".join(told[1:3])
    assert told[3].endswith("git: ftp://git.example/r cannot be read: write https://, ssh:// or a path")
    assert "documents: Documents cannot be read from ftp://" in told[4]


def test_a_folder_that_is_not_there_is_a_mistake_for_who_checks_and_none_for_a_sync(tmp_path):
    path = tmp_path / "sources.yaml"
    (tmp_path / "there").mkdir()
    path.write_text("sources:\n  - documents: ./gone\n  - documents: ./there\n  - git: ./lost\n")
    assert len(load_catalogue(path, {})) == 3
    with pytest.raises(UsageError) as caught:
        load_catalogue(path, {}, with_places=True)
    assert str(caught.value).splitlines() == [
        f"sources.yaml:2: documents: there is nothing at {tmp_path / 'gone'}",
        f"sources.yaml:4: git: There is no repository at {tmp_path / 'lost'}",
    ]
