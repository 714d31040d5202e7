"""What of a site is worth reading: by its name before it is asked for, by its media type once it answers."""

import pytest

from connectors.media_types import BY_SUFFIX
from connectors.web.media import is_wanted, passed_over_by_name


@pytest.mark.parametrize("suffix", sorted(BY_SUFFIX.keys() - {".zip"}))
def test_every_document_that_can_be_read_is_wanted_also_where_its_server_names_no_type(suffix):
    uri = f"https://docs.example.com/files/handbook{suffix}"
    assert not passed_over_by_name(uri)
    assert is_wanted("application/octet-stream", uri)


@pytest.mark.parametrize("name", ["logo.PNG", "film.mp4", "release.tar.gz", "release.zip", "app.js", "font.woff2"])
def test_what_is_no_page_by_its_name_is_not_even_requested(name):
    assert passed_over_by_name(f"https://docs.example.com/{name}")
    assert not is_wanted("application/octet-stream", f"https://docs.example.com/{name}")


def test_a_program_that_answers_says_nothing_by_its_name():
    assert not passed_over_by_name("https://docs.example.com/thumb.png?page=1")
    assert is_wanted("text/html", "https://docs.example.com/thumb.png?page=1")


@pytest.mark.parametrize("media_type", ["image/svg+xml", "video/mp4", "text/css", "application/zip"])
def test_a_type_that_is_no_page_decides_whatever_the_name(media_type):
    assert not is_wanted(media_type, "https://docs.example.com/page.html")
