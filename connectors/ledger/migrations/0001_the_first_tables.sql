-- Times are milliseconds since 1970 UTC. A hash of a URI is 64 bits of BLAKE2b.

CREATE TABLE sources (
  id {identity},
  destination TEXT NOT NULL,      -- the base URL of the persona
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  origin TEXT NOT NULL,
  options TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  lease_token TEXT,               -- NULL: nobody works on this source
  lease_host TEXT,
  lease_boot TEXT,
  lease_pid BIGINT,
  lease_born BIGINT,
  lease_beat BIGINT,
  lease_tick BIGINT,
  UNIQUE (destination, name)
);

CREATE TABLE runs (
  id {identity},
  source_id BIGINT NOT NULL,
  purpose TEXT NOT NULL,
  state TEXT NOT NULL,            -- running, then what finish() said
  complete BIGINT NOT NULL,       -- 1: the whole source was seen
  config TEXT NOT NULL,
  stream_id TEXT NOT NULL,
  resumed BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT,
  summary TEXT
);
CREATE INDEX runs_of_source ON runs (source_id, id);

-- Every URI of a run has one row, and the row one outcome (NULL while it is due).
CREATE TABLE visits (
  id {identity},
  run_id BIGINT NOT NULL,
  hash BIGINT NOT NULL,
  uri TEXT NOT NULL,
  found_by TEXT NOT NULL,
  depth BIGINT NOT NULL,
  via TEXT NOT NULL,
  modified TEXT NOT NULL,
  outcome TEXT,                   -- fetched, not_modified, skipped, failed
  rule TEXT,
  detail TEXT,
  fault BIGINT,
  status BIGINT,
  seconds DOUBLE PRECISION,
  ended_at BIGINT,
  UNIQUE (run_id, hash)
);
CREATE INDEX visits_due ON visits (run_id, id) WHERE outcome IS NULL;

CREATE TABLE resources (
  id {identity},
  source_id BIGINT NOT NULL,
  hash BIGINT NOT NULL,
  uri TEXT NOT NULL,
  etag TEXT NOT NULL,
  last_modified TEXT NOT NULL,
  body_hash {bytes},
  config TEXT NOT NULL,
  links {bytes} NOT NULL,
  seen_run BIGINT NOT NULL,       -- the last run that found it alive
  recorded_run BIGINT NOT NULL,   -- the last run that read its pages
  UNIQUE (source_id, hash)
);

CREATE TABLE pages (
  id {identity},
  source_id BIGINT NOT NULL,
  resource_id BIGINT NOT NULL,
  hash BIGINT NOT NULL,
  uri TEXT NOT NULL,
  canonical TEXT NOT NULL,
  title TEXT NOT NULL,
  state TEXT NOT NULL,            -- live, duplicate, held, gone
  text_hash {bytes},
  version_id BIGINT,
  duplicate_of BIGINT,
  flags TEXT NOT NULL,
  blocks {bytes} NOT NULL,
  seen_run BIGINT NOT NULL,
  verdict TEXT NOT NULL,
  verdict_run BIGINT NOT NULL,
  gone_runs BIGINT NOT NULL,
  absent_runs BIGINT NOT NULL,
  weighed_run BIGINT NOT NULL,
  moved_from TEXT NOT NULL,
  UNIQUE (source_id, hash)
);
CREATE INDEX pages_of_source ON pages (source_id, id);
CREATE INDEX pages_by_text ON pages (text_hash, source_id);
CREATE INDEX pages_of_resource ON pages (resource_id);
CREATE INDEX pages_by_owner ON pages (duplicate_of) WHERE duplicate_of IS NOT NULL;

CREATE TABLE versions (
  id {identity},
  source_id BIGINT NOT NULL,
  page_id BIGINT NOT NULL,
  run_id BIGINT NOT NULL,
  state TEXT NOT NULL,
  uri TEXT NOT NULL,
  title TEXT NOT NULL,
  content {bytes} NOT NULL,
  metadata TEXT NOT NULL,
  size BIGINT NOT NULL,           -- bytes of the content as UTF-8
  text_hash {bytes} NOT NULL,
  fingerprint TEXT NOT NULL,
  normal_hash {bytes},            -- of the content with white space folded; set with the intent
  batch_id BIGINT,
  reason TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  delivered_run BIGINT,
  delivered_via TEXT,             -- store, stream, put
  delivered_boot TEXT,
  delivered_tick BIGINT,
  verified_run BIGINT,
  closed_run BIGINT
);
CREATE INDEX versions_of_page ON versions (page_id);
CREATE INDEX versions_by_state ON versions (source_id, state, id);
CREATE INDEX versions_of_batch ON versions (batch_id) WHERE batch_id IS NOT NULL;

CREATE TABLE batches (
  id {identity},
  source_id BIGINT NOT NULL,
  run_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  method TEXT NOT NULL,
  stream_id TEXT NOT NULL,
  state TEXT NOT NULL,            -- pending, sent, delivered, failed, split
  pages BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  calls BIGINT NOT NULL,
  detail TEXT NOT NULL,
  parent_id BIGINT,
  created_at BIGINT NOT NULL,
  sent_at BIGINT,
  sent_boot TEXT,
  sent_tick BIGINT,
  ended_at BIGINT
);
CREATE INDEX batches_by_state ON batches (source_id, state);
CREATE INDEX batches_of_run ON batches (run_id, number);

CREATE TABLE items (
  destination TEXT NOT NULL,
  item_id TEXT NOT NULL,
  version_id BIGINT NOT NULL,
  ordinal BIGINT NOT NULL,
  PRIMARY KEY (destination, item_id)
);
CREATE INDEX items_of_version ON items (version_id);

CREATE TABLE holds (
  page_id BIGINT PRIMARY KEY,
  run_id BIGINT NOT NULL,
  canonical TEXT NOT NULL,
  config TEXT NOT NULL,
  page {bytes} NOT NULL
);
CREATE INDEX holds_of_run ON holds (run_id, page_id);

CREATE TABLE prompts (
  id {identity},
  run_id BIGINT NOT NULL,
  topics TEXT NOT NULL,
  prompts TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE findings (
  id {identity},
  run_id BIGINT NOT NULL,
  uri TEXT NOT NULL,
  article TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX findings_of_run ON findings (run_id);

CREATE TABLE probes (
  destination TEXT PRIMARY KEY,
  returned TEXT NOT NULL,         -- equal, pieces, changed
  visible_s DOUBLE PRECISION NOT NULL,
  largest_batch BIGINT,
  at BIGINT NOT NULL
);
