-- A whole life of a store, once for every operation on the disk that may fail in it: each write,
-- sync, rename, open, read, removal and table access in turn, with an error, a full disk, half a
-- write or a lost answer, once or for a while. What was answered and persisted, or checkpointed, is
-- there afterwards; the store goes on when the fault ends. LONG=1 fails every operation, otherwise
-- one in so many.
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local C = tide.load("base/logger.h", "disk/volume.h", "disk/volume_fault.h")

local T = 1600000000000
local HOUR = 3600000
local EIO, ENOSPC = 5, 28
local RETENTION = 30 * 24 * HOUR
local stride = os.getenv("LONG") == "1" and 1 or 29

local function value(i, k) return math.sin(i * 7919 + k * 104729) * 1e6 end

-- One life. `model[i]` = list of times that were answered; `safe[i]` how many of them must survive.
local Life = {}
Life.__index = Life

local function new_life()
  local err = tide.error()
  local self = setmetatable({ folder = engine.folder(), answered = {}, safe = {}, now = T }, Life)
  self.inner = C.volume_posix_open(self.folder, true, err)
  assert(self.inner ~= nil, tide.text(err))
  self.volume = C.volume_fault_new(self.inner)
  return self
end

function Life:open()
  local store, problem = engine.open { volume = self.volume, retention_ms = RETENTION,
    clock_ms = self.now, head_chunk_timeout_ms = HOUR, clock_slack_ms = 9223372036854775807LL }
  self.store = store
  return store ~= nil, problem
end

-- Samples for some series; those that were answered are noted.
function Life:push(from, to, count)
  for i = from, to do
    local times = self.answered[i] or {}
    local entry = { { __name__ = "m", i = tostring(i) } }
    for k = 1, count do entry[k + 1] = { self.now + k * 1000, value(i, self.now + k * 1000) } end
    local accepted = self.store:push { entry }
    if accepted == count then
      for k = 1, count do times[#times + 1] = self.now + k * 1000 end
    end
    self.answered[i] = times
  end
  self.now = self.now + count * 1000 + 1000
  self.store:advance(count * 1000 + 1000)
end

function Life:rest(ms)
  self.now = self.now + ms
  self.store:advance(ms)
end

-- Runs background work; when it succeeds and `saves`, all that was answered is safe.
function Life:run(what, saves)
  local ok = pcall(self.store.run, self.store, what)
  if ok and saves then
    for i, times in pairs(self.answered) do self.safe[i] = #times end
  end
  return ok
end

-- Everything that is safe is there, with its values; nothing else is but what was answered. A query
-- whose read fails is told so, once the fault is armed.
function Life:check(all)
  local seen, failed = {}, false
  self.store:each({ { "__name__", "=", "m" } }, nil, nil, function(one, columns, text)
    if not columns and text:find("injected", 1, true) then failed = true return end
    assert(columns, text)
    local i = tonumber(engine.metric(one.labels).i)
    local found = {}
    for k = 0, tonumber(columns.len) - 1 do
      local time = tonumber(columns.times_ms[k])
      assert(columns.values[k] == value(i, time), text .. ": a wrong value")
      found[time] = true
    end
    seen[i] = found
  end)
  if failed then return end
  for i, times in pairs(self.answered) do
    for k = 1, all and #times or self.safe[i] or 0 do
      assert(seen[i] and seen[i][times[k]] or times[k] < self.now - RETENTION,
        ("series %d: sample %d of %d (%d safe) is lost"):format(i, k, #times, self.safe[i] or 0))
    end
  end
end

-- The life itself: what a server does in weeks, in some minutes of a simulated clock.
function Life:live()
  if not self:open() then return end
  self:push(1, 6, 300)
  self:run("persist")
  self:run("checkpoint", true)
  self:push(1, 6, 200)
  self:push(7, 8, 50)
  self:rest(2 * HOUR) -- 1 to 8 go idle: heads close, are persisted, archived
  self:run("maintain")
  self:run("persist")
  self:run("maintain")
  self:check(true)
  self:push(1, 3, 250) -- back from the archive
  C.store_evict(self.store.store, 0)
  self:check(true)
  self:run("tick")
  self:run("checkpoint", true)
  self:rest(31 * 24 * HOUR) -- all that is old goes
  self:push(1, 2, 100)
  self:run("maintain")
  self:run("persist")
  self:run("tick")
  self:check(true)
  self:run("checkpoint", true)
  if self.store:close() then
    for i, times in pairs(self.answered) do self.safe[i] = #times end
  end
  self.store = nil
end

-- After the fault: the store opens (or goes on), holds what was safe, and works.
function Life:recover()
  C.volume_fault_disarm(self.volume)
  assert(self:open())
  self:check(false)
  for i, times in pairs(self.answered) do -- what was not safe may be gone
    self.answered[i] = {}
    for k = 1, self.safe[i] or 0 do self.answered[i][k] = times[k] end
  end
  self:push(1, 8, 20)
  assert(self:run("persist"))
  assert(self:run("checkpoint", true))
  self:check(true)
  assert(self.store:close())
  assert(self:open())
  assert(not self.store:stats().started_dirty)
  self:check(true)
  assert(self.store:close())
  self.store = nil
end

function Life:free()
  C.volume_fault_disarm(self.volume)
  if self.store then self.store:abandon() end
  self.volume.close(self.volume)
  self.inner.close(self.inner)
  engine.remove(self.folder)
end

-- One life with a fault armed; whether it struck.
local function try(kinds, after, times, code, style)
  local life = new_life()
  C.volume_fault_arm(life.volume, kinds, after, times, code, style)
  local ok, problem = pcall(function()
    life:live()
    life:recover()
  end)
  local struck = tonumber(C.volume_fault_failed(life.volume)) > 0
  life:free()
  if not ok then
    error(("operation %d, %d times: %s"):format(after, times, tostring(problem)), 0)
  end
  return struck
end

describe("a store in a whole life", function()
  local level
  setup(function()
    level = C.logger_level()
    C.logger_set_level(C.LOG_LEVEL_ERROR + 1)
  end)
  teardown(function() C.logger_set_level(level) end)

  local kinds = {
    writes = { C.FAULT_WRITE, C.FAULT_TORN, ENOSPC }, ["writes that were done"] = { C.FAULT_WRITE,
      C.FAULT_AFTER, EIO }, syncs = { C.FAULT_SYNC, C.FAULT_CLEAN, EIO },
    renames = { C.FAULT_RENAME, C.FAULT_CLEAN, EIO }, ["renames that were done"] = {
      C.FAULT_RENAME, C.FAULT_AFTER, EIO }, opens = { C.FAULT_OPEN, C.FAULT_CLEAN, EIO },
    reads = { C.FAULT_READ, C.FAULT_CLEAN, EIO }, removals = { C.FAULT_REMOVE, C.FAULT_CLEAN, EIO },
    cuts = { C.FAULT_RESIZE, C.FAULT_CLEAN, EIO }, tables = { C.FAULT_KV, C.FAULT_CLEAN, EIO },
  }
  for name, kind in pairs(kinds) do
    it("survives failing " .. name .. ", each in turn, once or for a while", function()
      local after, struck, lives = 0, nil, 0
      repeat
        for _, times in ipairs { 1, 20 } do
          struck = try(kind[1], after, times, kind[3], kind[2])
          lives = lives + 1
        end
        after = after + (stride == 1 and 1 or 1 + math.floor(after / 2) % stride)
      until not struck or after > 5000
      assert.is_true(after < 5000 and lives >= 2)
    end)
  end
end)
