-- Released: never edit this file, add the next one. The map of lanes to relay shards can be closed (P9).

-- While it is being changed, `shards` is 0, and `closed_from` says what was in force; `change` counts the
-- changes that have begun.
ALTER TABLE service ADD COLUMN change bigint NOT NULL DEFAULT 0, ADD COLUMN closed_from integer;
