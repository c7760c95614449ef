-- Leases permits from the window of one organization. Times are milliseconds by the clock of Redis.
local state_key, clients_key, waiting_key, granted_key, submissions_key = unpack(KEYS)
local scale, client = tonumber(ARGV[1]), ARGV[2]
local wanted, wanted_submissions, spare = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local submission_limit, ended, returned = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local hold, hold_submissions = tonumber(ARGV[9]), tonumber(ARGV[10])
local report = ARGV[11] and {
    limit = tonumber(ARGV[11]),
    remaining = tonumber(ARGV[12]),
    resets_in = tonumber(ARGV[13]),
    window = tonumber(ARGV[14]),
}

local MINUTE = 60000
-- The limit of requests and its window until a response has reported the limit.
local COLD_REQUESTS, COLD_TIME, COLD_RETRY = 10, 5000, 250
-- The time for which all waiting clients have the same share of a new window.
local EQUAL_SHARES = 2000
-- The time after which a client without requests is removed. A waiting client makes a request in every window.
local GONE = 2 * MINUTE
-- The time after which a slot is free if the end of its submission was not reported.
local SUBMISSION_LOST = 2 * MINUTE
-- The difference between the ends of one window that two responses may report, as the headers count in seconds.
local SAME_WINDOW = 2000
local KEEP = 5 * MINUTE

local function text(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = math.floor((tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000) * scale)

local names = { 'limit', 'used', 'begun', 'ends', 'window', 'is_over', 'held', 'held_submissions', 'next_id' }
local values = redis.call('HMGET', state_key, unpack(names))
local state = {}
for place, name in ipairs(names) do state[name] = tonumber(values[place]) end
for _, name in ipairs({ 'used', 'begun', 'ends', 'is_over', 'held', 'held_submissions', 'next_id' }) do
    state[name] = state[name] or 0
end

-- The window.
if now >= state.ends then
    if not state.limit then
        state.ends = now + COLD_TIME
    elseif now < state.ends + MINUTE then
        state.ends = state.ends + MINUTE
    else
        state.ends = now + MINUTE
    end
    state.used, state.begun, state.is_over = 0, now, 1
    redis.call('DEL', granted_key)
end
if report then
    local counted = report.limit - report.remaining
    if not state.window or report.window > state.window + SAME_WINDOW then
        local ends = now + report.resets_in
        if state.is_over == 1 then
            state.used = math.max(state.used, counted)
            -- The reported end may be too late by a second. The expected end is better if it is in that second.
            if state.limit then ends = math.max(math.min(ends, state.ends), ends - 1000) end
        else
            state.used, state.begun = counted, now
            redis.call('DEL', granted_key)
        end
        state.limit, state.window, state.is_over, state.ends = report.limit, report.window, 0, ends
    elseif state.is_over == 0 and report.window + SAME_WINDOW >= state.window then
        state.limit = report.limit
        state.used = math.max(state.used, counted)
        state.ends = math.min(state.ends, now + report.resets_in)
    end
end
if hold > 0 then state.held = math.max(state.held, now + hold) end
if hold_submissions > 0 then state.held_submissions = math.max(state.held_submissions, now + hold_submissions) end

-- With a limit of 0, one request is tried in each window.
local limit = math.max(state.limit or COLD_REQUESTS, 1)
local left = math.max(limit - state.used, 0)
local window_opens = left > 0 and now or state.ends
if not state.limit then window_opens = math.min(window_opens, now + COLD_RETRY) end
if now < state.held then
    left, window_opens = 0, math.max(window_opens, state.held)
end

-- The clients.
redis.call('ZADD', clients_key, text(now), client)
redis.call('ZREMRANGEBYSCORE', clients_key, '-inf', text(now - GONE))
redis.call('ZREMRANGEBYSCORE', waiting_key, '-inf', text(now - GONE))
redis.call('ZREM', waiting_key, client)
local clients = redis.call('ZCARD', clients_key)
local others = redis.call('ZCARD', waiting_key)

-- Submissions: a slot is taken from its lease until a minute after its end.
redis.call('ZREMRANGEBYSCORE', submissions_key, '-inf', text(now))
if ended + returned > 0 then
    local prefix = client .. ':'
    for _, slot in ipairs(redis.call('ZRANGE', submissions_key, 0, -1)) do
        if ended + returned > 0 and slot:sub(1, #prefix) == prefix then
            redis.call('ZREM', submissions_key, slot)
            if ended > 0 then
                ended = ended - 1
                redis.call('ZADD', submissions_key, text(now + MINUTE), 'ended:' .. slot)
            else
                returned = returned - 1
            end
        end
    end
end
local free = math.max(submission_limit - redis.call('ZCARD', submissions_key), 0)
if now < state.held_submissions then free = 0 end
local submissions = math.min(wanted_submissions, free, left)
if others > 0 then
    submissions = math.min(submissions, math.max(1, math.floor(math.min(free, left) / (others + 1))))
end
for _ = 1, submissions do
    state.next_id = state.next_id + 1
    redis.call('ZADD', submissions_key, text(now + SUBMISSION_LOST), client .. ':' .. text(state.next_id))
end
left = left - submissions

-- Requests.
local requests = math.min(wanted, left)
local shares_end = state.begun + EQUAL_SHARES
local in_equal_shares = others > 0 and now < shares_end
if in_equal_shares then
    local share = math.ceil(limit / (others + 1)) - (tonumber(redis.call('HGET', granted_key, client)) or 0)
    requests = math.min(requests, math.max(share - submissions, 0))
elseif others > 0 then
    requests = math.min(requests, math.max(1, math.floor(left / (others + 1))))
elseif requests == wanted and wanted > 0 then
    requests = requests + math.min(spare, math.floor((left - requests) / (4 * clients)))
end
left = left - requests
state.used = state.used + submissions + requests
if submissions + requests > 0 then redis.call('HINCRBY', granted_key, client, submissions + requests) end
if requests < wanted or submissions < wanted_submissions then redis.call('ZADD', waiting_key, text(now), client) end

-- The time after which the client should try again.
local retry_in = 0
if left == 0 then
    if window_opens <= now then window_opens = state.limit and state.ends or now + COLD_RETRY end
    retry_in = window_opens - now
elseif in_equal_shares then
    retry_in = shares_end - now
end
local submissions_retry_in = retry_in
if free <= submissions then
    local first = redis.call('ZRANGE', submissions_key, 0, 0, 'WITHSCORES')
    local opens = math.max(first[2] and tonumber(first[2]) or now + MINUTE, state.held_submissions)
    submissions_retry_in = math.max(retry_in, opens - now)
end

local fields = {}
for _, name in ipairs(names) do
    if state[name] then
        fields[#fields + 1] = name
        fields[#fields + 1] = text(state[name])
    end
end
redis.call('HSET', state_key, unpack(fields))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, math.ceil(KEEP / scale)) end
return { requests, submissions, state.ends - now, retry_in, submissions_retry_in, clients }
