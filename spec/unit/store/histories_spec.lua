-- Random histories of one folder against a model: a value by time for each series. LONG=1 runs
-- more; a history that fails is shrunk to the steps it needs and kept in BUILD/histories, to be run
-- first from then on. Those worth keeping for good are in spec/data/histories.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local C = tide.load("disk/wal.h", "store/audit.h", "store/delete.h")

local T = 1600000000000
local FOREVER = 9223372036854775807LL
local MINUTE = 60000
local histories = os.getenv("LONG") == "1" and 2000 or 60

-- A generator of our own, so that a seed means the same everywhere (Park and Miller).
local function generator(seed)
  local state = seed * 7919 % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

-- Values of changing kinds, since chunks change their form with them.
local function next_value(random, last)
  local kind = random(12)
  if kind <= 3 then return last end
  if kind <= 6 then return last + random(100) end
  if kind == 7 then return random(2000000000) * 4294967296 end
  if kind == 8 then return -last end
  if kind == 9 then return 1 / 0 end
  return random(1000000) / 7
end

-- What becomes of two values of one time, by enum duplicate_rule.
local resolve = {
  [0] = function(_, comes) return comes end,
  [1] = function(there) return there end,
  [2] = math.max,
}

-- A series of the model: samples[time] = value; what a checkpoint held (safe), and all values that
-- a time had since.
local function new_series() return { samples = {}, safe = {}, since = {}, value = 0 } end

local function set(series, time, value)
  series.samples[time] = value
  series.since[time] = series.since[time] or {}
  series.since[time][value] = true
end

local function all_safe(series)
  series.safe, series.since = {}, {}
  for time, value in pairs(series.samples) do series.safe[time] = value end
end

-- After a crash: nothing that was safe is gone, and nothing is there that never was. What is older
-- than `horizon` may be gone, or not.
local function check_crashed(series, found, horizon, text)
  for time, value in pairs(found) do
    local since = series.since[time]
    assert(time < horizon or series.safe[time] == value or (since and since[value]),
      ("%s: %.0f has %.17g, which it never had"):format(text, time, value))
  end
  for time in pairs(series.safe) do
    assert(time < horizon or found[time],
      ("%s: the safe sample of %.0f is gone"):format(text, time))
  end
end

local function check_same(series, found, horizon, text)
  for time, value in pairs(series.samples) do
    if time >= horizon and found[time] ~= value then
      error(("%s: %.0f is %s, not %.17g"):format(text, time, tostring(found[time]), value))
    end
  end
  for time in pairs(found) do
    assert(time < horizon or series.samples[time],
      ("%s: there is a sample of %.0f"):format(text, time))
  end
end

local names = {
  "push", "push", "push", "late", "late", "late", "persist", "evict", "tick", "merge",
  "maintain", "rest", "checkpoint", "restart", "kill", "compare", "compare",
  "delete", "delete", "undelete",
}

-- The steps of a seed: { name, seed of its own }, so that one can be left out.
local function plan(seed)
  local random = generator(seed)
  local steps = {}
  for i = 1, 40 do steps[i] = { names[random(#names)], random(1000000) } end
  return steps
end

-- Deletes what series i has in an interval; returns the number of samples and the id in the trash.
local function delete(store, i, from_ms, to_ms)
  local matcher, err = ffi.new("struct matcher[1]"), tide.error()
  local one, request = ffi.new("struct select_request"), ffi.new("struct delete_request")
  local removed = ffi.new("struct removal")
  local text = tostring(i)
  assert(C.matcher_init(matcher[0], C.MATCH_EQUAL, "i", 1, text, #text, nil, err) == 0)
  one.matchers, one.matcher_count = matcher, 1
  request.sets, request.set_count, request.by = one, 1, "spec"
  request.from_ms, request.to_ms = from_ms, to_ms
  local status = C.store_delete(store.store, request, removed, err)
  C.matcher_destroy(matcher[0])
  assert(status == 0, tide.text(err))
  return tonumber(removed.samples), ffi.string(removed.id)
end

local function history(seed, list)
  local random = generator(seed)
  local folder, store = engine.folder(), nil
  local model = {}
  local trash = {} -- { id, series, samples }
  local now = T
  local retention = random(2) == 1 and 1440 * MINUTE or nil
  local rule = random(3) - 1
  local window = random(2) == 1 and 30 * MINUTE or 3650 * 1440 * MINUTE
  local has_log = random(2) == 1 -- then nothing is lost that was answered

  local function open()
    store = assert(engine.open {
      data_dir = folder, retention_ms = retention or FOREVER, clock_ms = now,
      chunk_encoding = random(3) - 1, clock_slack_ms = FOREVER,
      head_chunk_timeout_ms = 600000, out_of_order_ms = window, duplicates = rule,
      wal_sync = has_log and C.WAL_SYNC_ALWAYS or C.WAL_SYNC_OFF,
    })
  end

  -- Adds to the entry what comes next; returns its time.
  local function next_sample(series, entry, time)
    series.value = next_value(random, series.value)
    if series.value ~= series.value or math.abs(series.value) == 1 / 0 then series.value = 0 end
    set(series, time, series.value)
    series.last = time
    entry[#entry + 1] = { time, series.value }
  end

  -- Adds a late sample; returns 1 if it must be refused.
  local function late_sample(series, entry, times)
    local kind, time = random(4), series.last
    if kind == 1 then
      time = times[random(#times)]
    elseif kind == 2 then
      time = times[random(#times)] - random(20000)
    elseif kind == 3 then
      time = series.last - random(MINUTE)
    end
    local value = random(3) == 1 and random(100) or random(1000000) / 7
    entry[#entry + 1] = { time, value }
    if series.last - time > window then return 1 end
    local there = series.samples[time]
    set(series, time, there and resolve[rule](there, value) or value)
    return 0
  end

  local function times_of(series)
    local times = {}
    for time in pairs(series.samples) do times[#times + 1] = time end
    table.sort(times)
    return times
  end

  local function push(late)
    local entries, sent, refused = {}, 0, 0
    local step = random(4) == 1 and 1000 * random(4000) or 1000 * random(20)
    for i = 1, 6 do
      if random(3) > 1 then
        local series = model[i] or new_series()
        local entry = { { __name__ = "m", i = tostring(i) } }
        model[i] = series
        for k = 0, random(60) - 1 do next_sample(series, entry, now + k * step) end
        if late then
          local times = times_of(series)
          for _ = 1, random(2) == 1 and random(10) or random(400) do
            refused = refused + late_sample(series, entry, times)
          end
        end
        entries[#entries + 1] = entry
        sent = sent + #entry - 1
      end
    end
    store:advance(step * 61)
    now = now + step * 61
    local accepted, reasons = store:push(entries)
    assert(accepted == sent - refused,
      ("accepted %s of %d, %d must be refused"):format(tostring(accepted), sent, refused))
    assert((reasons.too_old or 0) == refused)
    if has_log then
      store:wait_durable()
      for _, series in pairs(model) do all_safe(series) end
    end
  end

  local function compare(crashed)
    local seen, horizon = {}, retention and now - retention or 0
    store:each({}, nil, nil, function(one, columns, text)
      local i = tonumber(engine.metric(one.labels).i)
      local series, found, last = model[i], {}, 0
      assert(columns ~= nil, text)
      if not series and columns.len == 0 then return end -- all of it was deleted
      assert(series and not seen[i], text)
      seen[i] = true
      for k = 0, tonumber(columns.len) - 1 do
        local time = tonumber(columns.times_ms[k])
        assert(time > last, text .. ": times are not in order")
        found[time], last = columns.values[k], time
      end
      if crashed then
        check_crashed(series, found, horizon, text)
        series.samples = found
        all_safe(series)
        assert(tonumber(one.last_ms) >= last, text .. ": its newest sample is later")
        series.last = tonumber(one.last_ms)
      else
        check_same(series, found, horizon, text)
        assert(tonumber(one.last_ms) == series.last, text .. ": its newest sample is another")
        for _, time in ipairs(times_of(series)) do
          assert(time < horizon or tonumber(one.first_ms) <= time, text .. ": its first is later")
        end
        if one.last_value_known then
          assert(one.last_value == series.samples[series.last], text .. ": its newest value")
        end
      end
    end)
    for i, series in pairs(model) do
      if not seen[i] then
        local newest = 0
        for time in pairs(crashed and series.safe or series.samples) do
          newest = math.max(newest, time)
        end
        assert(newest == 0 or newest < horizon, "series " .. i .. " is gone")
        series.last = newest
        if newest == 0 then
          model[i] = nil
        elseif crashed then -- another crash may bring back what was too old
          series.samples, series.since = {}, {}
          for time, value in pairs(series.safe) do series.samples[time] = value end
        end
      end
    end
  end

  -- A delete does not lower the newest time of a series while the store runs; a restart may.
  local function learn_last()
    store:each({}, nil, nil, function(one)
      local series = model[tonumber(engine.metric(one.labels).i)]
      if series then series.last = tonumber(one.last_ms) end
    end)
  end

  local function delete_some()
    local i = random(6)
    local times = model[i] and times_of(model[i]) or {}
    if retention or #times == 0 then return end
    local from, to = times[random(#times)], times[random(#times)]
    if from > to then from, to = to, from end
    if random(4) == 1 then to = times[#times] + 1 end
    local gone, count = {}, 0
    for _, time in ipairs(times) do
      if time >= from and time <= to then
        gone[time], count = model[i].samples[time], count + 1
        model[i].samples[time] = nil
      end
    end
    local removed, id = delete(store, i, from, to)
    assert(removed == count, ("deleted %d, not %d"):format(removed, count))
    for _, series in pairs(model) do all_safe(series) end -- a checkpoint, or the log
    trash[#trash + 1] = { id, i, gone }
    if next(model[i].samples) == nil then model[i] = nil end
  end

  local function undelete_some()
    local entry = table.remove(trash)
    if not entry then return end
    local removed, err = ffi.new("struct removal"), tide.error()
    local status = C.store_undelete(store.store, entry[1], "spec", removed, err)
    if status ~= 0 and err.code == C.ERR_NOT_FOUND then return end -- its time is over
    assert(status == 0, tide.text(err))
    local series = model[entry[2]] or new_series()
    model[entry[2]] = series
    for time, value in pairs(entry[3]) do
      if not series.samples[time] then set(series, time, value) end
    end
    learn_last()
    if has_log then all_safe(series) end
  end

  local function safe()
    for _, series in pairs(model) do all_safe(series) end
  end

  local steps = {
    push = function() push(false) end,
    late = function() push(true) end,
    persist = function() store:run "persist" end,
    evict = function() engine.C.store_evict(store.store, 0) end,
    tick = function() store:run "tick" end,
    merge = function() store:run "merge" end,
    maintain = function() store:run "maintain" end,
    rest = function()
      store:advance(700000)
      now = now + 700000
      store:run "tick"
      store:run "maintain"
      store:run "persist"
      store:run "maintain"
    end,
    checkpoint = function()
      store:run "checkpoint"
      safe()
    end,
    restart = function()
      assert(store:close())
      safe()
      open()
      learn_last()
      assert(not store:stats().started_dirty)
    end,
    kill = function()
      store:abandon()
      open()
      assert(store:stats().started_dirty)
      compare(true)
    end,
    compare = function() compare(false) end,
    delete = delete_some,
    undelete = undelete_some,
  }
  open()
  for _, step in ipairs(list) do
    random = generator(step[2])
    steps[step[1]]()
  end
  compare(false)
  assert(store:close())
  open()
  learn_last()
  compare(false)
  assert(store:close())
  engine.remove(folder)
end

-- Leaves out what is not needed for `fails(list)` to stay true: halves first, then smaller pieces,
-- then single steps; at most `tries` times.
local function shrink(list, fails, tries)
  local size = math.ceil(#list / 2)
  while size >= 1 do
    local at, any = 1, false
    while at <= #list and tries > 0 do
      local without = {}
      for i, step in ipairs(list) do
        if i < at or i >= at + size then without[#without + 1] = step end
      end
      tries = tries - 1
      if fails(without) then
        list, any = without, true
      else
        at = at + size
      end
    end
    if size == 1 and (not any or tries == 0) then break end
    size = size > 1 and math.ceil(size / 2) or 1
  end
  return list
end

-- A history as one line, and back.
local function to_text(seed, list)
  local words = { tostring(seed) }
  for _, step in ipairs(list) do words[#words + 1] = step[1] .. ":" .. step[2] end
  return table.concat(words, " ")
end

local function from_text(text)
  local list = {}
  for name, sub in text:gmatch("(%l+):(%d+)") do list[#list + 1] = { name, tonumber(sub) } end
  return tonumber(text:match("^%d+")), list
end

local kept = { "spec/data/histories", (os.getenv("BUILD") or "build") .. "/histories" }

local function run(seed, list)
  local ok, problem = pcall(history, seed, list)
  if ok then return end
  local last = problem
  local short = shrink(list, function(less)
    local fine, why = pcall(history, seed, less)
    if not fine then last = why end
    return not fine
  end, 80)
  local text = to_text(seed, short)
  os.execute("mkdir -p " .. kept[2])
  local file = assert(io.open(("%s/%d.txt"):format(kept[2], seed), "w"))
  file:write(text, "\n")
  file:close()
  error(("%s\nkept as %s/%d.txt: %s"):format(tostring(last), kept[2], seed, text), 0)
end

describe("random histories", function()
  local logger = tide.load("base/logger.h")
  local level

  setup(function()
    level = logger.logger_level()
    logger.logger_set_level(logger.LOG_LEVEL_ERROR)
  end)
  teardown(function() logger.logger_set_level(level) end)

  it("are shrunk to what fails", function()
    local function fails(list)
      local killed
      for _, step in ipairs(list) do
        if step[1] == "kill" then killed = true end
        if step[1] == "late" and killed then return true end
      end
      return false
    end
    for seed = 1, 20 do
      local list = plan(seed)
      if fails(list) then
        local short = shrink(list, fails, 1000)
        assert.equal(2, #short)
        local again, same = from_text(to_text(seed, short))
        assert.equal(seed, again)
        assert.same(short, same)
      end
    end
  end)

  it("that failed once do so no more", function()
    for _, folder in ipairs(kept) do
      local pipe = io.popen("cat " .. folder .. "/*.txt 2>/dev/null")
      for line in pipe:lines() do run(from_text(line)) end
      pipe:close()
    end
  end)

  it("hold exactly the samples of a model", function()
    for seed = 1, histories do run(seed, plan(seed)) end
  end)
end)
