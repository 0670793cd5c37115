-- Snapshots: whole, frozen, openable by the format's rules alone, and made while pushes go on.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local storage_v1 = require "spec.support.storage_v1"
local C = tide.load("disk/volume.h", "disk/volume_fault.h", "store/snapshot.h")

local T = 1600000000000
local HOUR = 3600000
local EIO = 5
local FOREVER = 9223372036854775807LL

local function value(i, k) return math.sin(i * 7919 + k * 104729) * 1e6 end

local function shell(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

describe("a snapshot", function()
  local folder, store

  local function open(settings)
    settings = settings or {}
    if not settings.volume then settings.data_dir = settings.data_dir or folder end
    settings.retention_ms = settings.retention_ms or FOREVER
    settings.clock_ms = settings.clock_ms or T
    return assert(engine.open(settings))
  end

  local function fill(from, to, series)
    for k = from, to do
      local entries = {}
      for i = 1, series or 6 do
        entries[i] = { { __name__ = "m", i = tostring(i) }, { T - HOUR + k * 1000, value(i, k) } }
      end
      assert.equal(series or 6, (store:push(entries)))
    end
  end

  local function snapshot(options)
    local info, err = ffi.new("struct snapshot_info"), tide.error()
    if C.store_snapshot(store.store, options, info, err) ~= 0 then return nil, tide.text(err) end
    return ffi.string(info.name), info
  end

  -- The content of a snapshot, by a store over a copy of it; the copy is checked by the format.
  local function contents(name, use)
    local copy = engine.folder()
    assert(os.execute(("cp -a %s/snapshots/%s/. %s"):format(folder, name, copy)) == 0)
    storage_v1.check(copy)
    assert.is_nil(io.open(copy .. "/DIRTY"))
    local other = open { data_dir = copy }
    assert.is_false(other:stats().started_dirty)
    local found = other:query({ { "__name__", "=~", ".+" } })
    if use then use(other) end
    assert(other:close())
    engine.remove(copy)
    return found
  end

  before_each(function() folder = engine.folder() end)
  after_each(function()
    if store and store.store then store:abandon() end
    engine.remove(folder)
  end)

  it("holds heads, files, archived series, collisions and indexes of one moment", function()
    store = open()
    fill(1, 400)
    store:run "persist"
    fill(401, 450, 4) -- series 5 and 6 fall idle
    store:advance(2 * HOUR)
    fill(451, 460, 4)
    store:run "maintain"
    store:run "persist"
    store:run "maintain"
    assert.equal(2, tonumber(store:stats().series_archived))
    local name, info = snapshot()
    assert.equal(4, tonumber(info.series))
    assert.equal(2, tonumber(info.archived))
    local expected = store:query({ { "__name__", "=~", ".+" } })
    assert.equal(400, #expected['{__name__="m", i="6"}'])
    assert.equal(460, #expected['{__name__="m", i="1"}'])
    assert.same(expected, contents(name, function(other)
      assert.same({ "__name__", "i" }, other:label_names())
      assert.same({ "1", "2", "3", "4", "5", "6" }, other:label_values("i"))
      assert.equal(2, tonumber(other:stats().series_archived))
    end))
  end)

  it("takes a used folder of the original with its collisions", function()
    assert(os.execute("tar -xzf spec/data/prom1x/collisions.tar.gz -C " .. folder) == 0)
    local outer = folder
    folder = folder .. "/collisions"
    store = open { clock_ms = 1700000000000 }
    local expected = store:query({ { "__name__", "=~", ".+" } })
    local name = assert(snapshot())
    assert.same(expected, contents(name))
    folder = outer
  end)

  it("stays as it was after append, drop, purge and another snapshot", function()
    store = open { retention_ms = 3 * HOUR }
    fill(1, 400)
    store:run "persist"
    local expected = store:query({ { "__name__", "=~", ".+" } })
    local name = assert(snapshot())
    local sums = ("cd %s/snapshots/%s && find . -type f -exec sha256sum {} + | sort"):format(folder,
      name)
    local before = shell(sums)
    fill(401, 900)
    store:run "persist" -- appends to files that the snapshot shares
    assert.same(expected, contents(name))
    local second = assert(snapshot())
    store:advance(3 * HOUR + 700000)
    store:run "maintain" -- drops chunks: rewrites
    assert.is_true(#store:query({ { "i", "=", "1" } })['{__name__="m", i="1"}'] < 900)
    store:advance(9 * HOUR)
    store:run "maintain"
    store:run "persist"
    store:run "maintain"
    store:run "maintain"
    assert.same(expected, contents(name))
    assert.equal(before, shell(sums))
    assert.equal(900, #contents(second)['{__name__="m", i="6"}'])
  end)

  it("shares series files and keeps them apart from then on", function()
    store = open()
    fill(1, 400)
    store:run "persist"
    local name = assert(snapshot())
    local links = shell(("find %s -name '*.db' -path '*/??/*' -links 2 | wc -l"):format(folder))
    assert.equal(12, tonumber(links))
    fill(401, 800)
    store:run "persist"
    assert.equal(0, tonumber((shell(("find %s/snapshots/%s -name '*.db' -links 2 -path '*/??/*' "
      .. "| wc -l"):format(folder, name)))))
  end)

  it("leaves out what is in memory only when it is asked to", function()
    store = open()
    fill(1, 400)
    store:run "persist"
    store:push { { { __name__ = "young" }, { T, 1 } } }
    local options = ffi.new("struct snapshot_options")
    options.skip_head = true
    local name = assert(snapshot(options))
    local found = contents(name)
    assert.is_nil(found['{__name__="young"}'])
    local count = #found['{__name__="m", i="1"}']
    assert.is_true(count > 200 and count < 400)
  end)

  it("is listed, and removed by name", function()
    store = open()
    fill(1, 10)
    local first = assert(snapshot())
    store:advance(1000)
    local second = assert(snapshot())
    local function names()
      local list, count, err = ffi.new("struct snapshot_info *[1]"), ffi.new("size_t[1]"),
        tide.error()
      assert(C.store_snapshot_list(store.store, list, count, err) == 0)
      local out = {}
      for i = 0, tonumber(count[0]) - 1 do out[i + 1] = ffi.string(list[0][i].name) end
      C.mem_free(list[0])
      return out
    end
    assert.same({ first, second }, names())
    local err = tide.error()
    assert.equal(0, C.store_snapshot_remove(store.store, first, err))
    assert.same({ second }, names())
    assert.equal(-1, C.store_snapshot_remove(store.store, first, err))
    assert.equal(C.ERR_NOT_FOUND, err.code)
    for _, bad in ipairs { "", "..", "../00", first .. "/..", "20200101T000000Z-ABCDEF" } do
      assert.equal(-1, C.store_snapshot_remove(store.store, bad, err))
      assert.equal(C.ERR_INVALID, err.code)
    end
  end)

  it("leaves nothing behind when any step fails, and the store goes on", function()
    local err = tide.error()
    local inner = C.volume_posix_open(folder, true, err)
    local volume = C.volume_fault_new(inner)
    store = open { volume = volume }
    fill(1, 400)
    store:run "persist"
    local expected = store:query({ { "__name__", "=~", ".+" } })
    local after, failed = 0, 0
    repeat
      C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, EIO, C.FAULT_CLEAN)
      local name, problem = snapshot()
      local hit = tonumber(C.volume_fault_failed(volume)) > 0
      C.volume_fault_disarm(volume)
      if not name then
        failed = failed + 1
        assert.truthy(problem:find("injected"), problem)
      end
      local left = shell("ls " .. folder .. "/snapshots 2>/dev/null | grep -c tmp")
      -- Only a failing removal may leave something; the next start removes it.
      assert.is_true(tonumber(left) <= 1)
      assert.same(expected, store:query({ { "__name__", "=~", ".+" } }))
      after = after + 1
    until not hit or after > 200
    assert.is_true(failed > 10 and after < 200)
    assert(store:close())
    local left_over = "snapshots/20200101T000000Z-0123456789abcdef.tmp/00"
    os.execute(("mkdir -p %s/%s"):format(folder, left_over))
    store = open { volume = volume }
    assert.equal("", shell("ls " .. folder .. "/snapshots | grep tmp"))
    assert(store:close())
    volume.close(volume)
    inner.close(inner)
  end)
end)
