-- Random histories of one folder against a model: a list of samples a series. LONG=1 runs more; a
-- history that fails prints its seed and steps.
local engine = require "spec.unit.store.engine"

local T = 1600000000000
local FOREVER = 9223372036854775807LL
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

local function history(seed, note)
  local random = generator(seed)
  local folder, store = engine.folder(), nil
  local model = {}
  local now = T

  local function open()
    store = assert(engine.open {
      data_dir = folder, retention_ms = FOREVER, clock_ms = now, chunk_encoding = random(3) - 1,
      head_chunk_timeout_ms = 600000,
    })
  end

  local function push()
    local entries = {}
    local step = random(4) == 1 and 1000 * random(4000) or 1000 * random(20)
    for i = 1, 6 do
      if random(3) > 1 then
        local series = model[i] or { count = 0, safe = 0, last = 0 }
        model[i] = series
        local entry = { { __name__ = "m", i = tostring(i) } }
        local time = now
        for _ = 1, random(60) do
          series.last = next_value(random, series.last)
          if series.last ~= series.last or math.abs(series.last) == 1 / 0 then series.last = 0 end
          time = time + step
          series.count = series.count + 1
          series[series.count] = { time, series.last }
          entry[#entry + 1] = series[series.count]
        end
        entries[#entries + 1] = entry
      end
    end
    local ahead = step * 61
    store:advance(ahead)
    now = now + ahead
    local accepted = store:push(entries)
    local sent = 0
    for _, entry in ipairs(entries) do sent = sent + #entry - 1 end
    assert(accepted == sent, "accepted " .. tostring(accepted) .. " of " .. sent)
  end

  -- `crashed`: a series may have lost what no checkpoint held, from its end on.
  local function compare(crashed)
    local seen = {}
    store:each({}, nil, nil, function(one, columns, text)
      local i = tonumber(engine.metric(one.labels).i)
      local series, count = model[i], tonumber(columns.len)
      assert(series and not seen[i], text)
      seen[i] = true
      if crashed then
        assert(count >= series.safe and count <= series.count,
          ("%s: %d samples, %d were safe of %d"):format(text, count, series.safe, series.count))
        for k = count + 1, series.count do series[k] = nil end
        series.count, series.safe = count, count
      end
      assert(count == series.count, ("%s: %d samples, not %d"):format(text, count, series.count))
      for k = 1, count do
        local time, value = tonumber(columns.times_ms[k - 1]), columns.values[k - 1]
        if time ~= series[k][1] or value ~= series[k][2] then
          error(("%s: sample %d is %.0f %.17g, not %.0f %.17g"):format(text, k, time, value,
            series[k][1], series[k][2]))
        end
      end
      series.last = count > 0 and series[count][2] or 0
    end)
    for i, series in pairs(model) do
      if not seen[i] then
        assert(crashed and series.safe == 0, "series " .. i .. " is gone")
        model[i] = nil
      end
    end
  end

  local function all_safe()
    for _, series in pairs(model) do series.safe = series.count end
  end

  local steps = {
    push = push,
    persist = function() store:run "persist" end,
    evict = function() engine.C.store_evict(store.store, 0) end,
    tick = function() store:run "tick" end,
    maintain = function() store:run "maintain" end,
    rest = function()
      store:advance(700000)
      now = now + 700000
      store:run "maintain"
      store:run "persist"
      store:run "maintain"
    end,
    checkpoint = function()
      store:run "checkpoint"
      all_safe()
    end,
    restart = function()
      assert(store:close())
      all_safe()
      open()
      assert(not store:stats().started_dirty)
    end,
    kill = function()
      store:abandon()
      open()
      assert(store:stats().started_dirty)
      compare(true)
    end,
    compare = function() compare(false) end,
  }
  local names = {
    "push", "push", "push", "push", "persist", "evict", "tick", "maintain", "rest", "checkpoint",
    "restart", "kill", "compare",
  }

  open()
  for _ = 1, 40 do
    local name = names[random(#names)]
    note[#note + 1] = name
    steps[name]()
  end
  compare(false)
  assert(store:close())
  open()
  compare(false)
  assert(store:close())
  engine.remove(folder)
end

describe("random histories", function()
  it("hold exactly the samples of a model", function()
    local logger = require("spec.support.tide").load("base/logger.h")
    local level = logger.logger_level()
    logger.logger_set_level(logger.LOG_LEVEL_ERROR)
    for seed = 1, histories do
      local note = {}
      local ok, problem = pcall(history, seed, note)
      if not ok then
        error(("seed %d: %s\n%s"):format(seed, tostring(problem), table.concat(note, " ")))
      end
    end
    logger.logger_set_level(level)
  end)
end)
