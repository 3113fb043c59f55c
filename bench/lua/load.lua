-- The load, for wrk: GETs that differ in their token alone.
--     wrk ... -s load.lua URL -- HEAD TOKENS SKIP COUNT
-- HEAD: a file with the request up to the token's header. TOKENS: a file with one token a line, read
-- round and round, or "-" for none. SKIP: lines to leave out at first. COUNT: "count" counts
-- the answers by their status (which costs the load generator some time), anything else does not.

local threads = {}
unauthorized = 0
others = 0

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    head = file:read("*a")
    file:close()
    tokens = arguments[2]
    if tokens ~= "-" then
        nextline = io.lines(tokens)
        for _ = 1, tonumber(arguments[3]) do
            line()
        end
    end
    if arguments[4] == "count" then
        function response(status)
            if status == 401 then
                unauthorized = unauthorized + 1
            else
                others = others + 1
            end
        end
    end
end

function line()
    local token = nextline()
    if token == nil then
        nextline = io.lines(tokens)
        token = nextline()
    end
    return token
end

function request()
    if tokens == "-" then
        return head .. "\r\n"
    end
    return head .. "authorization: Bearer " .. line() .. "\r\n\r\n"
end

function done(summary, latency, _)
    local counted, rest = 0, 0
    for _, thread in ipairs(threads) do
        counted = counted + thread:get("unauthorized")
        rest = rest + thread:get("others")
    end
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format(
        'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"p999":%d,'
            .. '"bad_statuses":%d,"broken":%d,"unauthorized":%d,"others":%d}\n',
        summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
        errors.status, broken, counted, rest))
end
