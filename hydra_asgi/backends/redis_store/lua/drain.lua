-- ARGV: token, 1 to drain or 0 to take it back. Answers 1, or 0: no such instance.
local listing, answer = called_listing(ARGV[1])
if not listing then
  return answer
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
