"""Which addresses are a login's."""

import pytest

from connectors.web.logins import brings_back, names_login, wants_login

SITE = "https://site.example"


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/en/login.php",
        "/users/sign_in",
        "/wp-login.php?redirect_to=%2Fa",
        "/auth/realms/x/auth?client_id=a&redirect_uri=https%3A%2F%2Fsite.example%2Fcb",
        "/saml2?SAMLRequest=abc",
    ],
)
def test_a_segment_or_what_is_asked_of_another_site_names_a_login(path):
    assert names_login(SITE + path)


@pytest.mark.parametrize("path", ["/help/login-problems", "/docs/signing", "/blog?about=login", "/loginov/diary"])
def test_a_page_about_logins_is_none(path):
    assert not names_login(SITE + path)


def test_a_login_that_brings_back_holds_the_address_asked_for():
    assert brings_back(f"{SITE}/in?next=%2Fdocs%2Fa", f"{SITE}/docs/a")
    assert brings_back(f"{SITE}/in?to=https%3A%2F%2Fsite.example%2Fdocs%2Fa", f"{SITE}/docs/a")
    assert not brings_back(f"{SITE}/in?next=%2Fdocs%2Fb", f"{SITE}/docs/a")
    assert not brings_back(f"{SITE}/in?next=%2F", f"{SITE}/")


def test_who_asked_for_the_login_itself_is_not_sent_to_one():
    assert wants_login(f"{SITE}/login", f"{SITE}/docs/a")
    assert not wants_login(f"{SITE}/login/", f"{SITE}/login")
