-- A night asks of every page which state its version is in, which text it has and as which item it was seen. In a row
-- of versions these stand around the text; in these indexes they stand alone.

ALTER TABLE items ADD COLUMN mark TEXT NOT NULL DEFAULT '';  -- of its bytes when it was read as the whole version

DROP INDEX items_of_version;
CREATE INDEX items_of_version ON items (version_id, ordinal, item_id, mark);

DROP INDEX versions_by_state;
CREATE INDEX versions_by_state ON versions (source_id, state, id, page_id, normal_hash);
CREATE INDEX versions_by_delivery ON versions (delivered_run, delivered_via) WHERE delivered_run IS NOT NULL;
CREATE INDEX versions_by_end ON versions (closed_run, state) WHERE closed_run IS NOT NULL;

DROP INDEX pages_of_source;
CREATE INDEX pages_of_source ON pages (source_id, state, id);

-- Who has a text is found by the text, not among all pages that are live.
DROP INDEX pages_by_text;
CREATE INDEX pages_by_text ON pages (text_hash, source_id, state, id);
