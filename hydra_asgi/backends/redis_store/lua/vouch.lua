-- ARGV: token. Its instance answered a request: it stays listed for a while, beats or not.
local listing = open() and listing_of(ARGV[1]) or nil
if not listing then
  return 0
end
watch(false)
if trouble then
  return redis.error_reply(trouble)
end
listing.vouched = now + VOUCHED
keep(ARGV[1], listing)
return 1
