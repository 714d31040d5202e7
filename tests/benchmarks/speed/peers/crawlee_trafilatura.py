"""Peer: Crawlee (HTTP) with trafilatura. Usage: crawlee_trafilatura.py START_URL MAX_PAGES OUT.jsonl."""

import asyncio
import json
import logging
import sys

import trafilatura
from crawlee import ConcurrencySettings
from crawlee.configuration import Configuration
from crawlee.crawlers import ParselCrawler, ParselCrawlingContext
from crawlee.storage_clients import MemoryStorageClient

START, MOST, OUT = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "w")
FOLDER = START.rsplit("/", 1)[0] + "/"


async def main():
    crawler = ParselCrawler(
        max_requests_per_crawl=MOST,
        concurrency_settings=ConcurrencySettings(min_concurrency=32, max_concurrency=32, desired_concurrency=32),
        storage_client=MemoryStorageClient(),
        configuration=Configuration(log_level="ERROR"),
        configure_logging=False,
        respect_robots_txt_file=True,
    )
    logging.getLogger("crawlee").setLevel(logging.ERROR)

    @crawler.router.default_handler
    async def handle(context: ParselCrawlingContext) -> None:
        html = context.selector.get()
        text = trafilatura.extract(
            html,
            url=context.request.url,
            output_format="markdown",
            include_links=True,
            include_tables=True,
            include_formatting=True,
            with_metadata=True,
        )
        OUT.write(json.dumps({"url": context.request.url, "content": text}) + "\n")
        await context.enqueue_links(strategy="same-origin")

    await crawler.run([START])


asyncio.run(main())
