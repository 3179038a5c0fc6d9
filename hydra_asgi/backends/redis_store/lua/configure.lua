-- ARGV: epoch, service, its settings as a document, 1 and the document that they replace or 0 and ''. An empty document is
-- none. Answers 1, or 0: there is another one by now.
local before = redis.call('HGET', SETTINGS, ARGV[2]) or ''
if before == ARGV[3] then
  return 1
end
if ARGV[4] == '1' and before ~= ARGV[5] then
  return 0
end
if not open() then
  begin(ARGV[1])
end
local refused = must_watch()
if refused then
  return refused
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
