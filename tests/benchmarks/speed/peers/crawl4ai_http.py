"""Peer: Crawl4AI, HTTP only, its own Markdown. Usage: crawl4ai_http.py START_URL MAX_PAGES OUT.jsonl."""

import asyncio
import json
import sys
from urllib.parse import urldefrag

from crawl4ai import AsyncWebCrawler, CacheMode, CrawlerRunConfig, HTTPCrawlerConfig
from crawl4ai.async_crawler_strategy import AsyncHTTPCrawlerStrategy

START, MOST, OUT = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "w")
FOLDER = START.rsplit("/", 1)[0] + "/"


async def main():
    seen, due, kept = {START}, [START], 0
    config = CrawlerRunConfig(cache_mode=CacheMode.BYPASS, verbose=False, semaphore_count=32)
    async with AsyncWebCrawler(
        crawler_strategy=AsyncHTTPCrawlerStrategy(browser_config=HTTPCrawlerConfig()), verbose=False
    ) as crawler:
        while due and kept < MOST:
            part, due = due[:32], due[32:]
            for result in await asyncio.gather(*(crawler.arun(url, config=config) for url in part)):
                if not result.success or kept >= MOST:
                    continue
                kept += 1
                OUT.write(json.dumps({"url": result.url, "content": str(result.markdown)}) + "\n")
                for link in result.links.get("internal", []) + result.links.get("external", []):
                    url = urldefrag(link["href"])[0]
                    if url.startswith(FOLDER) and url not in seen:
                        seen.add(url)
                        due.append(url)


asyncio.run(main())
