-- ARGV: lease, service, counter. Answers 1, 0 (there was none) or {status, what is refused}.
local id, service, counter = ARGV[1], ARGV[2], ARGV[3]
local lease = open() and lease_of(id) or nil
if not lease or lease.service ~= service then
  return 0
end
if was_used(lease, counter) then
  return { 401, 'counter' }
end
watch(false)
if trouble then
  return redis.error_reply(trouble)
end
finish(id, lease)
close()
return 1
