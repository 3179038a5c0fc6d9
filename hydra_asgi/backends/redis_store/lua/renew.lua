-- ARGV: lease, service, counter. Answers 1, 0 (no such lease) or {status, what is refused}.
local id, service, counter = ARGV[1], ARGV[2], ARGV[3]
local lease = open() and lease_of(id) or nil
if not lease or lease.service ~= service or redis.call('HEXISTS', INSTANCES, lease.token) == 0 then
  return 0
end
if was_used(lease, counter) then
  return { 401, 'counter' }
end
watch(false)
if trouble then
  return redis.error_reply(trouble)
end
local active = is_active(id)
if active then
  redis.call('ZADD', BEATS, now, id)
else
  revive(id)
end
if counter ~= '0' then
  lease.counter = counter
  keep_lease(id, lease)
end
if not active then
  local listing = listing_of(lease.token)
  if not listing then
    return 0
  end
  if not listing.active then
    look_again(listing)
  end
  settle(lease.token, listing)
  close()
end
return 1
