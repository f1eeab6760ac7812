-- SPDX-License-Identifier: Apache-2.0
-- Does what request_queue.py does, in one step for all clients. redis_store.py passes the constants.
-- KEYS[1]: the account's state, a hash. ARGV[1]: the arguments, as JSON.
-- Returns a ticket's number, its epoch, and the seconds until it is served; nothing for one that this state did not issue.

local args = cjson.decode(ARGV[1])
local state = {}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do state[stored[i]] = tonumber(stored[i + 1]) end

-- Seconds from the epoch on, because a double cannot hold today's date with microseconds.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
-- Set back, e.g. because a replica took over. A small difference changes nothing.
local is_set_back = state.epoch and now < state.epoch + state.updated_at - 1
local is_known = state.epoch == args.epoch and args.number and args.number < state['issued ' .. args.queue]
if args.number and (is_set_back or not is_known) then return {} end
if is_set_back or not state.epoch then
    state = {epoch = now, updated_at = 0, next_at = 0, gap = 1, share = 1, blocked_until = -1e9}
    for queue in ('SWP'):gmatch('.') do state['issued ' .. queue], state['served ' .. queue] = 0, 0 end
end
now = now - state.epoch

local function waiting(queue)
    return state['issued ' .. queue] - state['served ' .. queue]
end

local function all_waiting()
    return waiting('S') + waiting('W') + waiting('P')
end

-- Calls visit with the time and the queue of each waiting ticket, in the order of serving, until it returns true.
local function schedule(visit)
    local at, left = state.next_at, {S = waiting('S'), W = waiting('W'), P = waiting('P')}
    local first = state['served S'] + state['served W'] + state['served P']
    for number = first, first + all_waiting() - 1 do
        for queue in args.cycle[number % #args.cycle + 1]:gmatch('.') do
            if left[queue] > 0 then
                if visit(at, queue) then return end
                left[queue] = left[queue] - 1
                break
            end
        end
        at = at + state.gap
    end
end

local function update()
    local next_at, due = state.next_at, {S = 0, W = 0, P = 0}
    schedule(function(at, queue)
        if at > now + args.tolerance * state.gap then return true end
        due[queue], next_at = due[queue] + 1, at + state.gap
    end)
    for queue, count in pairs(due) do state['served ' .. queue] = state['served ' .. queue] + count end
    local growth = math.exp(math.min(math.max(0, now - state.updated_at), 60) / args.recovery)
    state.share = math.min(1, (state.share + args.recovery_base) * growth - args.recovery_base)
    state.gap, state.updated_at = args.margin / (args.rate * state.share), now
    state.next_at = math.min(next_at, math.max(now, state.blocked_until) + state.gap)
end

local function delay(number)
    local before, found = number - state['served ' .. args.queue], now
    if before >= 0 then
        schedule(function(at, queue)
            if queue == args.queue then before, found = before - 1, at end
            return before < 0
        end)
    end
    return math.max(0, found - now)
end

local number = args.number
update()
if args.block then
    local ended, block_end = state.blocked_until, math.max(state.blocked_until, now + args.block)
    if now >= ended then state.share = math.max(args.lowest_share, state.share * args.reduction) end
    state.next_at, state.blocked_until = math.max(state.next_at, block_end), block_end
    update()
elseif not number then
    if all_waiting() == 0 then state.next_at = math.max(state.next_at, now) end
    number = state['issued ' .. args.queue]
    state['issued ' .. args.queue] = number + 1
    update()
end
local result = {}
if number then
    local seconds = delay(number)
    result = {number, string.format('%.17g', state.epoch), string.format('%.17g', seconds)}
    if args.max_delay and seconds > args.max_delay then return result end
end

local fields = {}
for name, value in pairs(state) do
    fields[#fields + 1] = name
    fields[#fields + 1] = string.format('%.17g', value)
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('EXPIRE', KEYS[1], math.ceil(math.max(0, state.next_at + all_waiting() * state.gap - now)) + args.keep)
return result
