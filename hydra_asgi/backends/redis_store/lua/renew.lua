-- ARGV: lease, service, counter. Answers 1, 0 (no such lease) or {status, what is refused}.
local id, counter = ARGV[1], ARGV[3]
local lease, answer = called_lease(id, ARGV[2], counter)
if not lease then
  return answer
end
if redis.call('HEXISTS', INSTANCES, lease.token) == 0 then
  return 0
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
