-- Stands behind tidy.lua. Makes all changes if all conditions hold, else none. Answers 1 or 0.
--
-- KEYS: one for each operation; then, for each operation whose id has a partition, the two sorted sets
--       of that partition: the rests of its ids, and the same by their expiry.
-- ARGV: now, the number of operations, a margin in seconds, and seven for each operation:
--       condition (any, absent, present, or a version), change (keep, delete, put), value, expiry,
--       lifetime in seconds (0: over already, empty: for good), the number of the key of its partition's
--       first set (0: none), the rest of its id.
local now, count, margin = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function argument(operation, number)
  return ARGV[3 + (operation - 1) * 7 + number]
end

local versions = {}
for operation = 1, count do
  -- Version and expiry, the longest numbers that there are, stand before the value.
  local head = redis.call('GETRANGE', KEYS[operation], 0, 41)
  local live
  if head ~= '' then
    local version, expires_at = string.match(head, '^(%d+) (%d+) ')
    if not version then return redis.error_reply('DAMAGED a record has no version') end
    if tonumber(expires_at) > now then live = version end
  end
  local condition = argument(operation, 1)
  local holds = condition == 'any'
    or (condition == 'absent' and not live)
    or (condition == 'present' and live ~= nil)
    or condition == live
  if not holds then return 0 end
  versions[operation] = live or '0'
end

for operation = 1, count do
  local change = argument(operation, 2)
  if change ~= 'keep' then
    local expires_at, lifetime = argument(operation, 4), argument(operation, 5)
    local stays = change == 'put' and lifetime ~= '0'
    if stays then
      local version = string.format('%.0f', tonumber(versions[operation]) + 1)
      local record = version .. ' ' .. expires_at .. ' ' .. argument(operation, 3)
      if lifetime == '' then
        redis.call('SET', KEYS[operation], record)
      else
        redis.call('SET', KEYS[operation], record, 'EX', lifetime)
      end
    else
      redis.call('DEL', KEYS[operation])
    end
    local set = tonumber(argument(operation, 6))
    if set > 0 then
      local ids, ends, rest = KEYS[set], KEYS[set + 1], argument(operation, 7)
      if stays then
        redis.call('ZADD', ids, 0, rest)
        redis.call('ZADD', ends, expires_at, rest)
      else
        redis.call('ZREM', ids, rest)
        redis.call('ZREM', ends, rest)
      end
      tidy(ids, ends, now, margin)
    end
  end
end
return 1
