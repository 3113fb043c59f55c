-- Stands behind tidy.lua. Writes records as they are, unless there is the same or a higher version.
--
-- KEYS: as for apply.lua.
-- ARGV: now, the number of records, a margin in seconds, and six for each: version, value, expiry,
--       lifetime in seconds (empty: for good), the number of the key of its partition's first set
--       (0: none), the rest of its id.
local now, count, margin = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for record = 1, count do
  local function argument(number) return ARGV[3 + (record - 1) * 6 + number] end
  local version, expires_at, lifetime = argument(1), argument(3), argument(4)
  local found = string.match(redis.call('GETRANGE', KEYS[record], 0, 41), '^(%d+) ')
  if not found or tonumber(found) < tonumber(version) then
    local text = version .. ' ' .. expires_at .. ' ' .. argument(2)
    if lifetime == '' then
      redis.call('SET', KEYS[record], text)
    else
      redis.call('SET', KEYS[record], text, 'EX', lifetime)
    end
    local set = tonumber(argument(5))
    if set > 0 then
      redis.call('ZADD', KEYS[set], 0, argument(6))
      redis.call('ZADD', KEYS[set + 1], expires_at, argument(6))
      tidy(KEYS[set], KEYS[set + 1], now, margin)
    end
  end
end
return 1
