-- A month of a server that keeps an hour: series come and go, the clock is simulated, and what is
-- on disk and in memory stays level. Every chunk that goes is counted.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
tide.load("base/logger.h")

local T = 1600000000000
local MINUTE, HOUR = 60000, 3600000
local STEP = 15 * MINUTE
local SERIES = 12 -- live at a time; each lives for two hours

-- Bytes and number of series files, and of all.
local function disk(folder)
  local pipe = io.popen("cd " .. folder .. " && find . -path './??/*' -name '*.db' -printf '%s\\n'")
  local bytes, files = 0, 0
  for size in pipe:lines() do bytes, files = bytes + tonumber(size), files + 1 end
  pipe:close()
  return bytes, files
end

describe("a month with a retention of an hour", function()
  local level
  setup(function()
    level = engine.C.logger_level()
    engine.C.logger_set_level(engine.C.LOG_LEVEL_ERROR)
  end)
  teardown(function() engine.C.logger_set_level(level) end)

  it("keeps disk, series and memory level, and counts every deletion", function()
    local folder = engine.folder()
    local metrics = engine.C.metrics_new()
    local store = assert(engine.open { data_dir = folder, clock_ms = T, retention_ms = HOUR,
      head_chunk_timeout_ms = 30 * MINUTE, metrics = metrics, chunk_encoding = 0,
      clock_slack_ms = 9223372036854775807LL })
    local function metric(name)
      local buf = ffi.new("struct buf")
      engine.C.metrics_write(metrics, buf)
      local text = ffi.string(buf.data, buf.len)
      engine.C.buf_destroy(buf)
      return tonumber(text:match("\n" .. name:gsub("[%{%}]", "%%%0") .. " (%d+)"))
    end

    local now = T
    local peak = { bytes = {}, files = {}, series = {}, memory = {} } -- by day
    local steps = 30 * 24 * HOUR / STEP
    for step = 1, steps do
      local entries = {}
      for i = 1, SERIES do
        -- A new name every two hours, at another time for each.
        local life = math.floor((step + i) * STEP / (2 * HOUR))
        local entry = { { __name__ = "m", i = tostring(i), life = tostring(life) } }
        for k = 1, 15 do
          entry[k + 1] = { now + k * MINUTE - 1, math.sin(step * 15 + k + i) * 1e6 }
        end
        entries[i] = entry
      end
      store:advance(STEP)
      now = now + STEP
      assert.equal(SERIES * 15, (store:push(entries)))
      store:run "tick"
      if step % 2 == 0 then
        store:run "maintain"
        store:run "persist"
      end
      if step % 24 == 0 then
        local day = math.floor((step - 1) * STEP / (24 * HOUR)) + 1
        local bytes, files = disk(folder)
        local stats = store:stats()
        local series = tonumber(stats.series_in_memory + stats.series_archived)
        for name, value in pairs { bytes = bytes, files = files, series = series,
          memory = tonumber(stats.memory_bytes) } do
          peak[name][day] = math.max(peak[name][day] or 0, value)
        end
      end
    end
    local born = metric('prometheus_local_storage_series_ops_total{type="create"}')
    assert.is_true(born > SERIES * 30 * 11)
    for name, days in pairs(peak) do
      -- Memory fills the slabs of each group of stripes first.
      local level_day, slack = name == "memory" and 12 or 2, name == "memory" and 1.1 or 1.25
      for day = level_day + 1, #days do
        assert.is_true(days[day] <= days[level_day] * slack,
          ("%s: %d on day %d, %d before"):format(name, days[day], day, days[level_day]))
      end
    end
    -- What was born is there, or was purged and counted; so with chunks.
    local stats = store:stats()
    local purged = metric('prometheus_local_storage_series_ops_total{type="purge_from_memory"}') +
      metric('prometheus_local_storage_series_ops_total{type="purge_from_archive"}')
    assert.equal(born, purged + tonumber(stats.series_in_memory + stats.series_archived))
    store:run "persist"
    local bytes = disk(folder)
    local persisted = metric('prometheus_local_storage_chunk_ops_total{type="persist"}')
    local dropped = metric('prometheus_local_storage_chunk_ops_total{type="drop"}')
    assert.equal(persisted, dropped + bytes / 1041)
    assert.is_true(dropped > 1000)
    -- The label index forgot them too.
    assert.is_true(#store:label_values("life") < 12)
    assert(store:close())
    engine.C.metrics_free(metrics)
    engine.remove(folder)
  end)
end)
