-- ARGV: token, 1 to drain or 0 to take it back. Answers 1, or 0: no such instance.
local listing = open() and listing_of(ARGV[1]) or nil
if not listing then
  return 0
end
watch(false)
if trouble then
  return redis.error_reply(trouble)
end
for _, id in ipairs(listing.leases) do
  local lease = lease_of(id)
  if lease then
    lease.draining = ARGV[2] == '1'
    keep_lease(id, lease)
  end
end
settle(ARGV[1], listing)
close()
return 1
