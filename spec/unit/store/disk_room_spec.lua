-- A disk that fills up: first no new series, then no pushes, and all goes on when there is room.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local C = tide.load("disk/volume.h", "disk/volume_fault.h")

local T = 1600000000000
local MIB = 1048576
local INODES = 1000000

describe("a store on a disk that fills up", function()
  local folder, inner, volume, store

  local function space(free_mib, free_files)
    local left = ffi.new("struct volume_space", { free_mib * MIB, 100000 * MIB,
      free_files or INODES, INODES })
    C.volume_fault_space(volume, left)
    if store then store:run "tick" end
  end
  local function push(name, k)
    return store:push { { { __name__ = name }, { T + k * 1000, k } } }
  end
  local function refused(name, k)
    local accepted, problem = push(name, k)
    return accepted == nil and problem
  end

  before_each(function()
    local err = tide.error()
    folder = engine.folder()
    inner = C.volume_posix_open(folder, true, err)
    assert(inner ~= nil, tide.text(err))
    volume = C.volume_fault_new(inner)
    space(50000)
    store = assert(engine.open { volume = volume, clock_ms = T, min_free_bytes = 100 * MIB,
      limits = { max_total_series = 3 } })
  end)
  after_each(function()
    if store then store:abandon() end
    store = nil
    volume.close(volume)
    inner.close(inner)
    engine.remove(folder)
  end)

  it("takes no new series below the upper bound, and says why", function()
    assert.equal(1, (push("known", 1)))
    space(110)
    assert.equal(1, (push("known", 2)))
    local accepted, reasons, examples = push("new", 2)
    assert.equal(0, accepted)
    assert.same({ series_limit = 1 }, reasons)
    assert.truthy(examples[1]:find("the disk is filling up: 110 MiB free", 1, true), examples[1])
    space(50000)
    assert.equal(1, (push("new", 3)))
  end)

  it("refuses pushes below the lower bound, as busy, before a write fails", function()
    assert.equal(1, (push("known", 1)))
    space(99)
    local problem = refused("known", 2)
    assert.truthy(problem and problem:find("the disk is nearly full: 99 MiB free", 1, true),
      problem)
    assert.truthy(problem:find("storage.min_free_space", 1, true))
    assert.is_true(store:stats().disk_full)
    space(50000)
    assert.equal(1, (push("known", 3)))
    assert.is_false(store:stats().disk_full)
  end)

  it("counts what a clean stop will write", function()
    for k = 1, 3 do assert.equal(1, (push("series" .. k, 1))) end
    space(100) -- exactly the bound; three open heads need a few KiB more
    assert.truthy(refused("series1", 2))
    space(101)
    assert.equal(1, (push("series1", 3)))
  end)

  it("minds the inodes likewise", function()
    assert.equal(1, (push("known", 1)))
    space(50000, INODES * 0.03)
    assert.equal(0, (push("new", 2)))
    assert.equal(1, (push("known", 2)))
    space(50000, INODES * 0.01)
    assert.truthy(refused("known", 3):find("10000 of 1000000 inodes free", 1, true))
  end)

  it("takes no more series than the total allows, archived ones included", function()
    for k = 1, 3 do assert.equal(1, (push("series" .. k, 1))) end
    local accepted, _, examples = push("series4", 1)
    assert.equal(0, accepted)
    assert.truthy(examples[1]:find("limits.total_series", 1, true))
    assert.equal(1, (push("series3", 2)))
  end)
end)
