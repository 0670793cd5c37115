-- Failing disks: nothing that was taken is lost while the store runs on, and it heals by itself.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local C = tide.load("disk/volume.h", "disk/volume_fault.h")

local T = 1600000000000
local EIO, ENOSPC = 5, 28
local FOREVER = 9223372036854775807LL

local function value(i, k) return math.sin(i * 7919 + k * 104729) * 1e6 end

describe("a store whose disk fails", function()
  local folder, inner, volume, store

  local function open()
    store = assert(engine.open { volume = volume, retention_ms = FOREVER, clock_ms = T })
  end

  local function fill(from, to)
    for k = from, to do
      local entries = {}
      for i = 1, 8 do
        local sample = { T - 3600000 + k * 1000, value(i, k) }
        entries[i] = { { __name__ = "m", i = tostring(i) }, sample }
      end
      assert.equal(8, (store:push(entries)))
    end
  end

  local function expect(count)
    local found = 0
    store:each({ { "__name__", "=", "m" } }, nil, nil, function(one, columns, text)
      local i = tonumber(engine.metric(one.labels).i)
      assert(columns, text)
      assert.equal(count, tonumber(columns.len))
      for k = 1, count do
        assert.equal(T - 3600000 + k * 1000, tonumber(columns.times_ms[k - 1]))
        assert.equal(value(i, k), columns.values[k - 1])
      end
      found = found + 1
    end)
    assert.equal(8, found)
  end

  local function fails(what)
    local ok = pcall(store.run, store, what)
    return not ok
  end

  before_each(function()
    local err = tide.error()
    folder = engine.folder()
    inner = C.volume_posix_open(folder, true, err)
    assert(inner ~= nil, tide.text(err))
    volume = C.volume_fault_new(inner)
  end)
  after_each(function()
    C.volume_fault_disarm(volume)
    if store and store.store then store:abandon() end
    volume.close(volume)
    inner.close(inner)
    engine.remove(folder)
  end)

  for name, case in pairs {
    ["an error"] = { EIO, C.FAULT_CLEAN }, ["a full disk"] = { ENOSPC, C.FAULT_CLEAN },
    ["half a write"] = { ENOSPC, C.FAULT_TORN }, ["a lost answer"] = { EIO, C.FAULT_AFTER },
  } do
    it("keeps chunks in memory after " .. name .. " in a write, and writes them later", function()
      open()
      fill(1, 400)
      C.volume_fault_arm(volume, C.FAULT_WRITE, 2, 3, case[1], case[2])
      assert.is_true(fails("persist"))
      expect(400)
      C.volume_fault_disarm(volume)
      store:advance(10000)
      store:run "persist"
      assert.equal(0, tonumber(store:stats().chunks_to_persist))
      C.store_evict(store.store, 0)
      expect(400)
      assert(store:close())
      open()
      assert.is_false(store:stats().started_dirty)
      expect(400)
    end)
  end

  it("writes a round again whose sync failed, and stops taking samples after the second", function()
    open()
    fill(1, 400)
    C.volume_fault_arm(volume, C.FAULT_SYNC, 0, 1, EIO, C.FAULT_CLEAN)
    assert.is_true(fails("persist"))
    assert.is_true(tonumber(store:stats().chunks_to_persist) > 0)
    expect(400)
    store:run "persist"
    assert.equal(0, tonumber(store:stats().chunks_to_persist))
    expect(400)
    fill(401, 800)
    C.volume_fault_arm(volume, C.FAULT_SYNC, 0, 2, EIO, C.FAULT_CLEAN)
    assert.is_true(fails("persist"))
    assert.is_true(fails("persist"))
    assert.is_true(store:stats().read_only)
    local accepted, problem = store:push { { { __name__ = "m", i = "1" }, { T, 1 } } }
    assert.is_nil(accepted)
    assert.truthy(problem:find("read%-only"))
    expect(800)
  end)

  it("survives each single failure of a checkpoint and of a clean stop", function()
    open()
    fill(1, 300)
    local steps, after = 0, 0
    repeat
      C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, EIO, C.FAULT_CLEAN)
      local failed = fails("checkpoint")
      local hit = tonumber(C.volume_fault_failed(volume)) > 0
      C.volume_fault_disarm(volume)
      steps, after = steps + (failed and 1 or 0), after + 1
      store:abandon()
      open()
      if after > 1 then assert.is_true(tonumber(store:stats().series_in_memory) == 8 or not hit) end
      if tonumber(store:stats().series_in_memory) == 0 then fill(1, 300) end
      expect(300)
      store:run "checkpoint"
    until not hit or after > 60
    assert.is_true(steps > 3 and after < 60)
    after = 0
    repeat
      C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, EIO, C.FAULT_CLEAN)
      local clean = store:close()
      local hit = tonumber(C.volume_fault_failed(volume)) > 0
      C.volume_fault_disarm(volume)
      assert.is_true(clean or hit)
      open()
      assert.is_true(not clean or not store:stats().started_dirty)
      expect(300)
      after = after + 1
    until not hit or after > 100
    assert.is_true(after > 5 and after < 100)
  end)

  it("refuses to open when it cannot, and opens when it can again", function()
    open()
    fill(1, 300)
    assert(store:close())
    local refused = 0
    for after = 0, 60 do
      C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, EIO, C.FAULT_CLEAN)
      local opened = engine.open { volume = volume, retention_ms = FOREVER, clock_ms = T }
      local hit = tonumber(C.volume_fault_failed(volume)) > 0
      C.volume_fault_disarm(volume)
      if opened then
        store = opened
        expect(300)
        assert(store:close())
      else
        refused = refused + 1
        assert.is_true(hit)
      end
    end
    assert.is_true(refused > 3)
    open()
    expect(300)
    assert.is_true(ffi.cast("void *", store.store) ~= nil)
  end)
end)
