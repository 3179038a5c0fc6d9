-- ARGV: name, 1 and the expected value or 0 and '', 1 and the new value or 0 and ''. Answers whether it was as expected.
local is = redis.call('HGET', SECRETS, ARGV[1])
if (is and '1' or '0') ~= ARGV[2] or (is or '') ~= ARGV[3] then
  return 0
end
if ARGV[4] == '1' then
  redis.call('HSET', SECRETS, ARGV[1], ARGV[5])
else
  redis.call('HDEL', SECRETS, ARGV[1])
end
return 1
