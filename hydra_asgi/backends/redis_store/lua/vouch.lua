-- ARGV: token. Its instance answered a request: it stays listed for a while, beats or not.
local listing, answer = called_listing(ARGV[1])
if not listing then
  return answer
end
listing.vouched = now + VOUCHED
keep(ARGV[1], listing)
return 1
