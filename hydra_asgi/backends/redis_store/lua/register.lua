-- ARGV: epoch, service, key, token, digest, document, lease, caller, signed, counter.
-- Answers {token, order, drained}, or {status, what is refused}.
local service, key, token, digest, document = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local id, caller, signed, counter = ARGV[7], ARGV[8], ARGV[9] == '1', ARGV[10]

local alive = open()
local lease = alive and lease_of(id) or nil
local known = alive and redis.call('HGET', TOKENS, key) or nil
local listing = known and listing_of(known) or nil
if lease and lease.service ~= service then
  return { 403, 'service' }
end
if not signed then
  local owned = lease and lease.signed == true
  for _, other in ipairs(listing and listing.leases or {}) do
    local beside = lease_of(other)
    owned = owned or (beside and beside.signed == true)
  end
  if owned then
    return { 403, 'signature' }
  end
end
if lease and was_used(lease, counter) then
  return { 401, 'counter' }
end
if alive then
  watch(false)
else
  begin(ARGV[1])
  now = time
end
if trouble then
  return redis.error_reply(trouble)
end

if lease and lease.token ~= known then
  finish(id, lease)
end
local news = false
if not listing then
  if known then
    token = known -- its record was unreadable: the name stays, the rest is made anew
  else
    while redis.call('HEXISTS', INSTANCES, token) == 1 do
      token = tonumber(token) >= LAST_TOKEN and FIRST_TOKEN or string.format('%d', tonumber(token) + 1)
    end
    count = count + 1
  end
  listing = { key = key, order = redis.call('HINCRBY', META, 'orders', 1), leases = {}, active = true, drained = false }
  redis.call('HSET', TOKENS, key, token)
  redis.call('ZREM', GONE, token)
  redis.call('ZREM', QUIET, token)
  news = true
else
  token = known
end
if listing.digest ~= digest then
  listing.digest = digest
  news = true
end
-- Compared before it is written: a repetition costs nothing on the way to replicas and to the disk.
if news then
  redis.call('HSET', DOCUMENTS, token, document)
end
local stays = lease and lease.token == known
local present = false
for _, name in ipairs(listing.leases) do
  present = present or name == id
end
if not present then
  listing.leases[#listing.leases + 1] = id
end
if stays and lease.caller ~= caller then
  redis.call('ZREM', CALLERS, caller_entry(id, lease))
end
lease = lease or {}
if counter == '0' then
  counter = lease.counter
end
lease.service, lease.caller, lease.signed, lease.token, lease.counter = service, caller, signed, token, counter
lease.draining = stays and lease.draining or false
keep_lease(id, lease)
redis.call('ZADD', CALLERS, 0, caller_entry(id, lease))
revive(id)
if not listing.active then
  look_again(listing)
end
settle(token, listing, news)
close()
return { token, listing.order, listing.drained and 1 or 0 }
