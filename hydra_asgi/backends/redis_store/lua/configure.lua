-- ARGV: epoch, service, its settings as a document; empty takes them back.
if not open() then
  begin(ARGV[1])
end
local before = redis.call('HGET', SETTINGS, ARGV[2])
if (before or '') == ARGV[3] then
  close()
  return 0
end
watch(false)
if trouble then
  return redis.error_reply(trouble)
end
if ARGV[3] == '' then
  redis.call('HDEL', SETTINGS, ARGV[2])
else
  redis.call('HSET', SETTINGS, ARGV[2], ARGV[3])
end
bump(ARGV[2])
told = revision
close()
return 1
