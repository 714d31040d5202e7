"""Pages that ask for a password instead of showing what was asked for."""

import pytest

SITE = "http://site.example"
FORM = "<form action=/in method=post><label>Name <input name=n></label><input TYPE=Password name=p></form>"
WALL = f"<!doctype html><title>Sign in</title><main><h1>Sign in</h1><p>Please sign in to go on.</p>{FORM}</main>"
LONG = "<p>" + "The forum of this site answers very many questions of its readers. " * 20 + "</p>"
FORUM = f"<!doctype html><title>Topic</title><header>{FORM}</header><main><h1>Topic</h1>{LONG}</main>"


def found(extract, body, uri, *redirects):
    return extract(
        body, uri=SITE + uri, requested_uri=SITE + (redirects or (uri,))[0], redirects=[SITE + r for r in redirects]
    )


@pytest.mark.parametrize("uri", ["/login?next=%2Fa", "/login", "/members?return=%2Fa", "/members"])
def test_a_login_that_another_page_led_to_is_no_page_and_says_what_to_do(extract, uri):
    out = found(extract, WALL, uri, "/a")
    assert (out.pages, out.problem, out.outcome) == ((), "login", "skipped")
    assert "http://site.example/a led to it" in out.detail
    assert "--header" in out.detail


@pytest.mark.parametrize(
    ("uri", "redirects"), [("/login", ()), ("/login/", ("/login",)), ("/home", ("/",)), ("/members", ())]
)
def test_a_login_that_was_asked_for_itself_is_a_page(extract, uri, redirects):
    out = found(extract, WALL, uri, *redirects)
    assert (len(out.pages), out.problem) == (1, "")


def test_a_page_that_moved_and_has_a_form_for_members_beside_its_text_stays_one(extract):
    assert len(found(extract, FORUM, "/topic/3", "/t?p=5").pages) == 1


def test_a_page_that_moved_and_asks_for_no_password_stays_one(extract):
    assert len(found(extract, WALL.replace("Password", "text"), "/login-guide", "/a").pages) == 1
