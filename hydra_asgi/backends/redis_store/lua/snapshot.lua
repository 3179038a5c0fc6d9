-- What changed since a moment that the caller knows, oldest change first, at most one page of it.
--
-- ARGV: an epoch for a directory that starts now; the known moment (epoch, revision, chain); the revision up to which
-- changes were taken already; the one up to which documents are known (less than that while pages are taken); the
-- revision of the settings known; how many instances and how many bytes are a page.
--
-- Answers {moment and alarm, 1 if everything is sent because the known moment is none of this directory's, the revision
-- up to which changes are in this page, settings revision, how many instances are held, settings (service, document,
-- ...), tokens that are gone, instances (token, order, state, document and key, or '' and '' for what is known, ...)}.
local alarm = look(ARGV[1])
if not alarm then
  return redis.error_reply(trouble)
end
close()

local function is_known(known_epoch, known_revision, known_chain)
  if known_epoch ~= epoch or not known_revision or known_revision > revision then
    return false
  end
  if known_revision == revision then
    return known_chain == chain
  end
  return whole(redis.call('LINDEX', HISTORY, known_revision - revision - 1)) == known_chain
end

local page, page_bytes = tonumber(ARGV[8]), tonumber(ARGV[9])
local after, base, known_settings, all = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), 0
if not is_known(ARGV[2], whole(ARGV[3]), whole(ARGV[4])) then
  after, base, known_settings, all = 0, 0, 0, 1
end
local found = redis.call('ZRANGE', CHANGED, '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, page, 'WITHSCORES')
local instances, bytes, through = {}, 0, revision
if #found == 2 * page then
  through = tonumber(found[#found])
end
for index = 1, #found, 2 do
  local token, score = found[index], tonumber(found[index + 1])
  local listing = listing_of(token)
  if listing then
    local document, key = '', ''
    if listing.told > base then
      document, key = redis.call('HGET', DOCUMENTS, token) or 'null', listing.key
    end
    instances[#instances + 1] = token
    instances[#instances + 1] = listing.order
    instances[#instances + 1] = (listing.active and 1 or 0) + (listing.drained and 2 or 0)
    instances[#instances + 1] = document
    instances[#instances + 1] = key
    bytes = bytes + #document
  end
  if bytes > page_bytes and index + 2 < #found then
    through = score
    break
  end
end
local gone = redis.call('ZRANGE', GONE, '(' .. after, through, 'BYSCORE')
local settings = {}
if told > known_settings then
  settings = redis.call('HGETALL', SETTINGS)
end
return { moment() .. alarm, all, through, told, held, settings, gone, instances }
