-- Ledgers kept the validators of what had left: of pages that were gone, moved away, or were dropped for the address
-- that speaks for them. Such a page was answered by 304 when it came back, and stayed out until it changed. And a page
-- that was delivered and became another one's twin lost its own text: it could not take over.

UPDATE resources SET etag = '', last_modified = '', body_hash = NULL
WHERE EXISTS (SELECT id FROM pages WHERE resource_id = resources.id AND (state = 'gone' OR seen_run = 0))
  OR EXISTS (
    SELECT pages.id FROM pages JOIN versions ON versions.id = pages.version_id
    WHERE pages.resource_id = resources.id AND versions.state = 'superseded'
  )
  OR NOT EXISTS (SELECT id FROM pages WHERE resource_id = resources.id);
