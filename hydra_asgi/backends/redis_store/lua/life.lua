-- The life of the directory in this namespace: its epoch, its revision, and the time somebody watched it.
--
-- Every script of the directory begins with this part. The numbers in capitals are put before it (scripts.py), times in
-- milliseconds.

local epoch, revision, chain, time, seen, count, held, told
local now, stamp, trouble
local changed, moved = false, false

local function whole(text)
  local number = tonumber(text)
  if number and number >= 0 and number < 2 ^ 53 and number == math.floor(number) then
    return number
  end
  return nil
end

-- Read the life. False: there is none, or nothing that could be one.
local function open()
  local read = redis.call('HMGET', META, 'epoch', 'revision', 'chain', 'time', 'seen', 'count', 'held', 'settings')
  epoch = read[1]
  revision, chain, time, seen = whole(read[2]), whole(read[3]), whole(read[4]), whole(read[5])
  count, held, told = whole(read[6]), whole(read[7]), whole(read[8])
  return epoch and revision and chain and time and seen and count and held and told and true or false
end

local function server_time()
  local read = redis.call('TIME')
  stamp = read[1] .. '.' .. read[2]
  return read[1] * 1000 + math.floor(read[2] / 1000)
end

-- Look at the clock of this server. Time in which nobody looked counts as one ordinary period, and so does a clock that
-- jumped: nobody is blamed for beats that could not be taken.
--
-- A look is noted only when a quarter of a second has passed since the last one noted: of the polls of many nodes most
-- write nothing. Where it cannot be noted (memory is used up, the disk is full) `trouble` says why, and time stands still.
local function watch(noting)
  local server = server_time()
  local passed = server - seen
  local counted = passed
  if passed < 0 then
    counted = 0
  elseif passed > PATIENCE then
    counted = PERIOD
  end
  now = time + counted
  if noting or counted ~= passed or passed >= NOTED then
    local noted = redis.pcall('HSET', META, 'time', now, 'seen', server)
    if type(noted) == 'table' and noted.err then
      trouble = noted.err
    else
      time, seen = now, server
    end
  end
end

-- The same, for who cannot go on where it cannot be noted: what is to be answered then.
local function must_watch()
  watch(false)
  return trouble and redis.error_reply(trouble) or nil
end

-- Start from nothing. What is left of a former life has lost its meaning; settings, secrets and nonces have not.
local function begin(candidate)
  redis.call('UNLINK', META, INSTANCES, DOCUMENTS, TOKENS, LEASES, CALLERS, BEATS, SILENT, QUIET, CHANGED, GONE, HISTORY)
  epoch, revision, chain, time, seen, count, held, told = candidate, 1, 0, 0, server_time(), 0, 0, 1
  redis.call('HSET', META, 'schema', SCHEMA, 'epoch', epoch, 'revision', revision, 'chain', chain, 'time', time,
    'seen', seen, 'count', count, 'held', held, 'settings', told, 'orders', 0)
  redis.call('RPUSH', HISTORY, chain)
  changed, moved = true, true
end

-- Move the revision because of `what`. The chain tells two histories apart that have reached the same number, as after
-- a failover in which the last writes were lost.
local function bump(what)
  revision = revision + 1
  chain = tonumber(string.sub(redis.sha1hex(chain .. ' ' .. revision .. ' ' .. stamp .. ' ' .. what), 1, 5), 16)
  redis.call('RPUSH', HISTORY, chain)
  redis.call('LTRIM', HISTORY, -KEPT, -1)
  changed, moved = true, true
end

-- Write down what changed, and tell who listens.
local function close()
  if changed then
    redis.call('HSET', META, 'revision', revision, 'chain', chain, 'count', count, 'held', held, 'settings', told)
  end
  if moved then
    -- Polling is the truth: who may not publish, or is not heard, has lost some tenths of a second.
    redis.pcall('PUBLISH', string.sub(META, 1, -5) .. 'changes', revision)
  end
end

local function moment()
  return epoch .. ' ' .. revision .. ' ' .. chain
end
