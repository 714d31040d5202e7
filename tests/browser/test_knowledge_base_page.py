"""The knowledge base's pages in a real browser, without JavaScript, on a desk and on a phone."""

import re
import shutil

import pytest

from tests.connectors.persona.server.media_files import base64_of, mp4, wav
from tests.connectors.persona.serving import client_of, page, served

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 60_000  # for what comes at once, except on a machine that does much else
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
def expect():
    """Playwright's `expect`: a click returns before the next document is there, so that every claim waits for it."""
    expect = pytest.importorskip("playwright.sync_api").expect
    expect.set_options(timeout=PATIENCE_MS)
    return expect


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS, timeout=2 * PATIENCE_MS)
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


@pytest.fixture
def opened(browser, url):
    """Give one tab after the other, each in a context of its own; all are closed afterwards."""
    made = []

    def make(**options):
        made.append(browser.new_context(base_url=url, **options))
        made[-1].set_default_timeout(PATIENCE_MS)
        return made[-1].new_page()

    yield make
    for context in made:
        context.close()


@pytest.fixture(params=["desk", "phone"])
def tab(request, opened, url):
    phone = request.param == "phone"
    viewport = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 860}
    tab = opened(viewport=viewport, has_touch=phone, java_script_enabled=False)
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    yield tab
    assert [one for one in asked if not one.startswith(url)] == [], "a page asks nobody but its own server"


def test_browse_read_and_see_the_source(tab, expect):
    tab.goto("/")
    tab.get_by_role("navigation", name="Main").get_by_role("link", name="Pages").click()
    expect(tab.locator("main")).to_contain_text("89 pages, in the order they were stored.")
    tab.get_by_role("link", name="Later").click()
    expect(tab.get_by_role("link", name="Filler 80", exact=True)).to_have_count(1)
    tab.get_by_role("link", name="Earlier").click()
    tab.get_by_role("link", name="Pumps", exact=True).click()
    expect(tab.locator("h1")).to_have_text("Pumps")
    expect(tab.locator("article h2")).to_have_text("Priming the pump")
    expect(tab.locator("article td")).to_have_text(["main", "3"])
    expect(tab.locator("a[href='https://docs.example.com/page-1.html']")).to_have_count(1)
    expect(tab.locator("aside")).to_contain_text("Machines › Water")  # noqa: RUF001 - the sign is meant
    tab.get_by_text("As it is stored").click()
    expect(tab.locator("pre.stored")).to_be_visible()
    assert tab.locator("pre.stored").inner_text().strip() == PUMP.strip()


def test_search_marks_what_it_found(tab, expect):
    tab.goto("/pages")
    tab.get_by_role("searchbox").fill("prime the pumps")
    tab.get_by_role("button", name="Search").click()
    first = tab.locator(".hit").first
    expect(first).to_contain_text("Pumps")
    expect(first.locator("mark").filter(has_text=re.compile("^prime$"))).not_to_have_count(0)


def test_a_search_without_a_hit_says_so(tab, expect):
    tab.goto("/pages?q=zeppelin")
    expect(tab.locator("main")).to_contain_text("No page speaks about “zeppelin”")


def test_ask_and_get_a_quotation_with_its_source(tab, expect):
    tab.goto("/")
    tab.get_by_role("textbox", name="Your question").fill("How do I prime the pump?")
    tab.get_by_role("button", name="Ask").click()
    expect(tab).to_have_url(re.compile("/chats/."))
    expect(tab.locator(".persona blockquote")).to_contain_text("Open the valve before you prime the pump.")
    expect(tab.locator(".persona a[href='https://docs.example.com/page-1.html']")).not_to_have_count(0)
    tab.get_by_role("link", name="Pumps", exact=True).click()
    expect(tab.locator("h1")).to_have_text("Pumps")
    tab.get_by_role("link", name="Chats").click()
    expect(tab.locator("h1")).to_have_text("Chats")
    expect(tab.get_by_role("link", name="How do I prime the pump?")).not_to_have_count(0)


def test_a_question_nobody_can_answer_is_answered_plainly(tab, expect):
    tab.goto("/ask?q=Who+won+in+1954%3F")
    expect(tab.get_by_role("textbox")).to_have_value("Who won in 1954?")
    tab.get_by_role("button", name="Ask").click()
    expect(tab.locator(".persona")).to_contain_text("has no answer")


def test_prompts_review_queue_personas_and_api(tab, expect):
    tab.goto("/prompts")
    tab.locator(".list .title").first.click()
    expect(tab.get_by_role("textbox")).to_have_value(re.compile("prim", re.IGNORECASE))
    tab.goto("/review")
    expect(tab.locator("main")).to_contain_text("<i>thin</i>: 9 words")
    tab.goto("/personas")
    expect(tab.locator("main")).to_contain_text("Knows pumps.")
    expect(tab.locator("audio, video")).to_have_count(2)
    tab.goto("/docs")
    expect(tab.locator(".method")).to_have_count(17)
    expect(tab.locator("main")).to_contain_text("17 calls")


def test_a_hostile_page_can_do_nothing(opened, url, expect):
    tab = opened()  # with JavaScript, so that it could
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
    for where in ("/pages/3", "/pages", "/pages?q=Owned", "/pages?q=<script>alert(1)</script>", "/"):
        tab.goto(where)
        expect(tab).to_have_title(re.compile("Knowledge base$"))
        assert tab.title() != "owned"
        for link in tab.locator("a").all():
            assert (link.get_attribute("href") or "").startswith(("/", "#", "http://", "https://"))
    tab.goto("/pages/3")
    expect(tab.locator("article")).to_contain_text("fine")
    assert tab.locator("article script, article img, article iframe").count() == 0
    assert [one for one in asked if not one.startswith(url)] == []
    assert said == []


EVERYWHERE = ["/", "/pages", "/pages/1", "/pages?q=pump", "/ask", "/prompts", "/review", "/chats", "/personas", "/docs"]


@pytest.mark.parametrize("where", [*EVERYWHERE, "/pages/3", "/nothing", "/pages/999"])
def test_nothing_runs_off_the_side_of_a_phone(opened, where):
    tab = opened(viewport={"width": 360, "height": 740})
    tab.goto(where)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_control_has_a_name_and_every_page_one_heading(opened, expect):
    tab = opened()
    for where in EVERYWHERE:
        tab.goto(where)
        expect(tab.locator("h1")).to_have_count(1)
        expect(tab.locator("html[lang]")).to_have_count(1)
        for control in tab.locator("input, textarea, button").all():
            assert control.get_attribute("aria-label") or control.inner_text().strip()
