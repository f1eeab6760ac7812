-- SPDX-License-Identifier: Apache-2.0
-- Does what rate_state.py does, in one step for all clients. redis_store.py passes the constants.
-- KEYS[1]: the account's state, a hash. ARGV[1]: the arguments, as JSON.
-- Returns the slot's number, its epoch, and the seconds until then; nothing for a slot that this state did not assign.

local args = cjson.decode(ARGV[1])
local state = {}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do state[stored[i]] = tonumber(stored[i + 1]) end

local function last_slot()
    return math.max(state.S, state.A, state.P, state.W)
end

-- Seconds from the epoch on, because a double cannot hold today's date with microseconds.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
-- Set back, e.g. because a replica took over. A small difference changes nothing.
local is_set_back = state.epoch and now < state.epoch + state.updated_at - 1
if args.number and (is_set_back or state.epoch ~= args.epoch or args.number >= last_slot()) then return {} end
if is_set_back or not state.epoch then
    state = {epoch = now, updated_at = 0, anchor = 0, gap = 1, S = 0, A = 0, P = 0, W = 0, share = 1, blocked_until = -1e9}
end
now = now - state.epoch

local function update()
    local growth = math.exp(math.min(math.max(0, now - state.updated_at), 60) / args.recovery)
    state.share = math.min(1, (state.share + args.recovery_base) * growth - args.recovery_base)
    local gap, begin = args.margin / (args.rate * state.share), math.max(now, state.blocked_until)
    state.anchor = begin - (begin - state.anchor) * gap / state.gap
    state.gap, state.updated_at = gap, now
end

local function first_slot(kind, number)
    while args.cycle:sub(number % #args.cycle + 1, number % #args.cycle + 1) ~= kind do number = number + 1 end
    return number
end

-- Returns the first slot that one of the kinds may use, and its kind. No slot is before those of `least`.
local function first_free(least)
    local number, found = math.huge, nil
    for kind in args.kinds:gmatch('.') do
        local slot = first_slot(kind, least(kind))
        if slot < number then number, found = slot, kind end
    end
    return number, found
end

local function reply(number)
    local delay = math.max(0, state.anchor + number * state.gap - now)
    return {number, string.format('%.17g', state.epoch), string.format('%.17g', delay)}, delay
end

local result = {}
update()
if args.number then
    result = reply(args.number)
elseif args.kinds then
    local earliest, last = math.max(now, state.blocked_until), last_slot()
    if earliest >= state.anchor + (last - args.tolerance) * state.gap then
        local first = first_free(function() return last end)
        state.anchor = earliest - first * state.gap
        state.S, state.A, state.P, state.W = first, first, first, first
    end
    local begin = math.ceil((earliest - state.anchor) / state.gap - args.tolerance)
    local number, kind = first_free(function(kind) return math.max(begin, state[kind]) end)
    local unused = args.cycle:sub(begin % #args.cycle + 1, begin % #args.cycle + 1)
    if args.kinds ~= 'P' and (unused == 'S' or unused == 'W') and begin >= state[unused] then
        number, kind = begin, unused
    end
    state[kind] = number + 1
    local answer, delay = reply(number)
    if delay > args.max_delay then return answer end
    result = answer
else
    local ended, block_end = state.blocked_until, math.max(state.blocked_until, now + args.block)
    if now >= ended then state.share = math.max(args.lowest_share, state.share * args.reduction) end
    state.anchor = state.anchor + block_end - math.max(now, ended)
    state.blocked_until = block_end
    update()
end

local fields = {}
for name, value in pairs(state) do
    fields[#fields + 1] = name
    fields[#fields + 1] = string.format('%.17g', value)
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('EXPIRE', KEYS[1], math.ceil(math.max(0, state.anchor + last_slot() * state.gap - now)) + args.keep)
return result
