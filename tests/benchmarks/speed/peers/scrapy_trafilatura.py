"""Peer: Scrapy with trafilatura (Markdown and metadata). Usage: scrapy_trafilatura.py START_URL MAX_PAGES OUT.jsonl."""

import json
import sys

import scrapy
import trafilatura
from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor

START, MOST, OUT = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "w")
FOLDER = START.rsplit("/", 1)[0] + "/"


class Site(scrapy.Spider):
    name = "site"
    start_urls = [START]
    links = LinkExtractor(allow=[FOLDER], unique=True)
    kept = 0

    def parse(self, response):
        if not isinstance(response, scrapy.http.HtmlResponse):
            return
        if self.kept >= MOST:
            return
        self.kept += 1
        text = trafilatura.extract(
            response.text,
            url=response.url,
            output_format="markdown",
            include_links=True,
            include_tables=True,
            include_formatting=True,
            with_metadata=True,
        )
        OUT.write(json.dumps({"url": response.url, "content": text}) + "\n")
        yield from response.follow_all(self.links.extract_links(response))


process = CrawlerProcess(
    {
        "ROBOTSTXT_OBEY": True,
        "LOG_LEVEL": "ERROR",
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
        "DOWNLOAD_DELAY": 0,
        "CLOSESPIDER_PAGECOUNT": MOST,
        "TELNETCONSOLE_ENABLED": False,
    }
)
process.crawl(Site)
process.start()
