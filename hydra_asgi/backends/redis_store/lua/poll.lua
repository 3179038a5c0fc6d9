-- ARGV: an epoch for a directory that starts now. Answers `epoch revision chain`, and the alarm when there is one.
local alarm = look(ARGV[1])
if not alarm then
  return redis.error_reply(trouble)
end
close()
return moment() .. alarm
