"""The knowledge base's pages in a real browser, without JavaScript, on a desk and on a phone."""

import shutil

import pytest

from tests.connectors.persona.server.media_files import base64_of, mp4, wav
from tests.connectors.persona.serving import client_of, page, served

CHROMIUM = shutil.which("chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

HOSTILE = """Source: https://docs.example.com/page-3.html

# Owned <script>document.title='owned'</script>

<img src=x onerror="document.title='owned'"> <iframe src="https://evil.example/"></iframe>

![pixel](https://evil.example/pixel.png) [click](javascript:document.title='owned') [data](data:text/html,x)

[fine](https://docs.example.com/fine) https://evil.example/"onmouseover="alert(1)
"""
PUMP = """Source: https://docs.example.com/page-1.html

# Pumps

## Priming the pump

Open the **valve** before you prime the pump.

| Valve | Turns |
|---|---|
| main | 3 |

```sh
pump --prime "very long line %s"
```
""" % ("x" * 300)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    import asyncio
    import threading

    async def fill(url):
        async with client_of(url, secret=None) as client:
            await client.store_pages(
                [
                    page(1, title="Pumps", content=PUMP, language="en", section=["Machines", "Water"]),
                    page(2, title="Wells"),
                    page(3, title="<script>document.title='owned'</script>", content=HOSTILE, author="<b>x</b>"),
                    *(page(n, title=f"Filler {n}") for n in range(4, 90)),
                ]
            )
            await client.auto_generate_prompts(["priming pump"])
            await client.review_data(["Pumps https://docs.example.com/page-1.html"], ["<i>thin</i>: 9 words"])
            voice = await client.add_voice(language="en", tone="warm", pitch="low", sample_audio=base64_of(wav()))
            await client.instance(name="Ada", description="Knows pumps.", configuration={"voice_id": voice})
            await client.add_video(file=base64_of(mp4(3)), title="Hello", duration=3, resolution="720p")

    with served(tmp_path_factory.mktemp("state")) as url:
        # Playwright's own loop runs in this thread.
        filler = threading.Thread(target=lambda: asyncio.run(fill(url)))
        filler.start()
        filler.join()
        yield url


@pytest.fixture(params=["desk", "phone"])
def tab(request, browser, url):
    phone = request.param == "phone"
    context = browser.new_context(
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 860},
        has_touch=phone,
        java_script_enabled=False,
        base_url=url,
    )
    tab = context.new_page()
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.set_default_timeout(10_000)
    yield tab
    assert [one for one in asked if not one.startswith(url)] == [], "a page asks nobody but its own server"
    context.close()


def test_browse_read_and_see_the_source(tab):
    tab.goto("/")
    tab.get_by_role("navigation", name="Main").get_by_role("link", name="Pages").click()
    assert "89 pages" in tab.content()
    tab.get_by_role("link", name="Later").click()
    assert tab.get_by_role("link", name="Filler 80", exact=True).count() == 1
    tab.get_by_role("link", name="Earlier").click()
    tab.get_by_role("link", name="Pumps", exact=True).click()
    assert tab.locator("h1").inner_text() == "Pumps"
    assert tab.locator("article h2").inner_text() == "Priming the pump"
    assert tab.locator("article td").all_inner_texts() == ["main", "3"]
    assert tab.locator("a[href='https://docs.example.com/page-1.html']").count() == 1
    assert "Machines › Water" in tab.locator("aside").inner_text()  # noqa: RUF001 - the sign is meant
    tab.get_by_text("As it is stored").click()
    assert tab.locator("pre.stored").inner_text().strip() == PUMP.strip()


def test_search_marks_what_it_found(tab):
    tab.goto("/pages")
    tab.get_by_role("searchbox").fill("prime the pumps")
    tab.get_by_role("button", name="Search").click()
    first = tab.locator(".hit").first
    assert "Pumps" in first.inner_text()
    assert "prime" in first.locator("mark").all_inner_texts()


def test_a_search_without_a_hit_says_so(tab):
    tab.goto("/pages?q=zeppelin")
    assert "No page speaks about “zeppelin”" in tab.locator("main").inner_text()


def test_ask_and_get_a_quotation_with_its_source(tab):
    tab.goto("/")
    tab.get_by_role("textbox", name="Your question").fill("How do I prime the pump?")
    tab.get_by_role("button", name="Ask").click()
    assert "/chats/" in tab.url
    assert "Open the valve before you prime the pump." in tab.locator(".persona blockquote").inner_text()
    assert tab.locator(".persona a[href='https://docs.example.com/page-1.html']").count() >= 1
    tab.get_by_role("link", name="Pumps", exact=True).click()
    assert tab.locator("h1").inner_text() == "Pumps"
    tab.get_by_role("link", name="Chats").click()
    assert tab.get_by_role("link", name="How do I prime the pump?").count() >= 1


def test_a_question_nobody_can_answer_is_answered_plainly(tab):
    tab.goto("/ask?q=Who+won+in+1954%3F")
    assert tab.get_by_role("textbox").input_value() == "Who won in 1954?"
    tab.get_by_role("button", name="Ask").click()
    assert "has no answer" in tab.locator(".persona").inner_text()


def test_prompts_review_queue_personas_and_api(tab):
    tab.goto("/prompts")
    tab.locator(".list .title").first.click()
    assert "prim" in tab.get_by_role("textbox").input_value().lower()
    tab.goto("/review")
    assert "<i>thin</i>: 9 words" in tab.locator("main").inner_text()
    tab.goto("/personas")
    assert "Knows pumps." in tab.locator("main").inner_text()
    assert tab.locator("audio, video").count() == 2
    tab.goto("/docs")
    assert tab.locator(".method").count() == 17
    assert "17 calls" in tab.locator("main").inner_text()


def test_a_hostile_page_can_do_nothing(browser, url):
    context = browser.new_context(base_url=url)  # with JavaScript, so that it could
    tab = context.new_page()
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
    for where in ("/pages/3", "/pages", "/pages?q=Owned", "/pages?q=<script>alert(1)</script>", "/"):
        tab.goto(where)
        assert tab.title() != "owned"
        for link in tab.locator("a").all():
            assert (link.get_attribute("href") or "").startswith(("/", "#", "http://", "https://"))
    tab.goto("/pages/3")
    assert tab.locator("article script, article img, article iframe").count() == 0
    assert [one for one in asked if not one.startswith(url)] == []
    assert said == []
    context.close()


EVERYWHERE = ["/", "/pages", "/pages/1", "/pages?q=pump", "/ask", "/prompts", "/review", "/chats", "/personas", "/docs"]


@pytest.mark.parametrize("where", [*EVERYWHERE, "/pages/3", "/nothing", "/pages/999"])
def test_nothing_runs_off_the_side_of_a_phone(browser, url, where):
    context = browser.new_context(viewport={"width": 360, "height": 740}, base_url=url)
    tab = context.new_page()
    tab.goto(where)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_every_control_has_a_name_and_every_page_one_heading(browser, url):
    context = browser.new_context(base_url=url)
    tab = context.new_page()
    for where in EVERYWHERE:
        tab.goto(where)
        assert tab.locator("h1").count() == 1
        assert tab.locator("html[lang]").count() == 1
        for control in tab.locator("input, textarea, button").all():
            assert control.get_attribute("aria-label") or control.inner_text().strip()
    context.close()
