-- How series are used: since when they are known, how often clients read them and when last; over
-- restarts, the archive, crashes, and a file that is damaged or gone.
local ffi = require "ffi"
local engine = require "spec.unit.store.engine"
local C = engine.C

local T = 1600000000000 -- an even number of seconds
local HOUR, DAY = 3600000, 86400000

describe("the use of series", function()
  local folder, store

  local function open(settings)
    settings = settings or {}
    settings.data_dir = folder
    settings.retention_ms = settings.retention_ms or 9223372036854775807LL
    settings.clock_slack_ms = 9223372036854775807LL
    settings.clock_ms = settings.clock_ms or T
    store = assert(engine.open(settings))
    return store
  end

  local function push(names, at)
    for _, name in ipairs(names) do
      assert.equal(1, (store:push { { { __name__ = name }, { at, 1 } } }))
    end
  end

  -- As a client reads, or as the server itself does.
  local function read(name, as_client)
    store.querier = as_client and C.store_client_querier(store.store) or
      C.store_querier(store.store)
    return store:each({ { "__name__", "=", name } }, nil, nil, function() end)
  end

  -- { created, last_read, reads } in seconds, nil for what is unknown.
  local function use(name)
    local found
    store.querier = C.store_querier(store.store)
    store:each({ { "__name__", "=", name } }, nil, nil, function(one)
      local out = ffi.new("struct series_use")
      C.store_use_get(store.store, one.fp, out)
      found = {
        created = out.created_ms ~= 0 and tonumber(out.created_ms) / 1000 or nil,
        last_read = out.last_read_ms ~= 0 and tonumber(out.last_read_ms) / 1000 or nil,
        reads = out.reads >= 0 and tonumber(out.reads) or nil,
      }
    end)
    return found
  end

  local function file() return folder .. "/use.db" end

  local function content()
    local handle = assert(io.open(file(), "rb"))
    local bytes = handle:read("*a")
    handle:close()
    return bytes
  end

  local function replace(bytes)
    local handle = assert(io.open(file(), "wb"))
    handle:write(bytes)
    handle:close()
  end

  before_each(function() folder, store = engine.folder(), nil end)
  after_each(function()
    if store and store.store then store:abandon() end
    engine.remove(folder)
  end)

  it("counts what clients read of samples, and nothing else", function()
    open()
    push({ "a", "b" }, T)
    assert.same({ created = T / 1000, reads = 0 }, use "a")
    store:advance(10000)
    assert.equal(1, read("a", true))
    assert.equal(1, read("a", true))
    assert.equal(1, read("b", false))
    store:label_values("__name__", { { "__name__", "=", "b" } })
    store:run "persist"
    store:run "maintain"
    assert.same({ created = T / 1000, last_read = T / 1000 + 10, reads = 2 }, use "a")
    assert.same({ created = T / 1000, reads = 0 }, use "b")
  end)

  it("is not counted of series that only their labels are asked of", function()
    open()
    push({ "a" }, T)
    local request = ffi.new("struct select_request", { from_ms = 0, to_ms = T,
      metadata_only = true })
    local out, err = ffi.new("struct selection *[1]"), ffi.new("struct error")
    local querier = C.store_client_querier(store.store)
    assert.equal(0, querier.select(querier.ctx, request, out, err))
    assert.equal(1, tonumber(out[0].count))
    querier.selection_free(querier.ctx, out[0])
    assert.equal(0, use("a").reads)
  end)

  it("is known after a restart, and of archived series, and of those that come back", function()
    open()
    push({ "a", "b" }, T)
    store:advance(5000)
    read("a", true)
    local before = use "a"
    assert(store:close())
    open { clock_ms = T + 3 * HOUR }
    assert.same(before, use "a")
    assert.same({ created = T / 1000, reads = 0 }, use "b")
    store:advance(2 * HOUR)
    store:run "maintain" -- closes the heads
    store:run "persist"
    store:run "maintain" -- archives
    assert.equal(2, tonumber(store:stats().series_archived))
    read("b", true)
    local b = use "b"
    assert.same({ created = T / 1000, last_read = T / 1000 + 5 * 3600, reads = 1 }, b)
    assert(store:close())
    open { clock_ms = T + 6 * HOUR }
    assert.equal(2, tonumber(store:stats().series_archived))
    assert.same(before, use "a")
    assert.same(b, use "b")
    push({ "b" }, T + 6 * HOUR)
    assert.same(b, use "b")
  end)

  it("goes with the series: one that is made anew begins anew", function()
    open { retention_ms = DAY }
    push({ "a" }, T)
    read("a", true)
    store:advance(3 * DAY)
    for _ = 1, 2 do
      store:run "maintain"
      store:run "persist"
    end
    store:run "maintain"
    assert.is_nil(use "a")
    push({ "a" }, T + 3 * DAY)
    assert.same({ created = (T + 3 * DAY) / 1000, reads = 0 }, use "a")
  end)

  it("is written once an hour beside the checkpoints, so that a crash takes little", function()
    open { wal_sync = 1 }
    push({ "a" }, T)
    read("a", true)
    store:run "checkpoint"
    store:advance(HOUR / 2)
    read("a", true)
    store:run "tick"
    store:advance(HOUR / 2 + 1000)
    read("a", true)
    store:run "tick"
    read("a", true)
    store:abandon()
    open { clock_ms = T + DAY, wal_sync = 1 }
    assert.is_true(store:stats().started_dirty)
    assert.same({ created = T / 1000, last_read = T / 1000 + 3601, reads = 3 }, use "a")
  end)

  it("of what only the log tells after a crash is that of something seen just now", function()
    open { wal_sync = 1 }
    push({ "a" }, T)
    store:run "checkpoint"
    push({ "b" }, T)
    store:wait_durable()
    store:abandon()
    open { clock_ms = T + HOUR, wal_sync = 1 }
    assert.same({ created = T / 1000, reads = 0 }, use "a")
    assert.same({ created = (T + HOUR) / 1000 }, use "b")
  end)

  it("is unknown without the file, and known from then on", function()
    open()
    push({ "a", "b" }, T)
    read("a", true)
    assert(store:close())
    assert(os.remove(file()))
    open { clock_ms = T + DAY }
    assert.same({ created = (T + DAY) / 1000 }, use "a")
    store:advance(2000)
    read("a", true)
    push({ "c" }, T + DAY)
    assert(store:close())
    open { clock_ms = T + 2 * DAY }
    -- It was older than the counts: how often it was read before is not known any more.
    assert.same({ created = (T + DAY) / 1000, last_read = (T + DAY) / 1000 + 2 }, use "a")
    assert.same({ created = (T + DAY) / 1000 }, use "b")
    assert.same({ created = (T + DAY) / 1000 + 2, reads = 0 }, use "c")
  end)

  it("loses at most a block to damage, whatever it is", function()
    open()
    local entries = {}
    for i = 1, 5000 do entries[i] = { { __name__ = "s" .. i }, { T, i } } end
    assert.equal(5000, (store:push(entries)))
    assert(store:close())
    local good = content()
    assert.equal(8 + 8 + 4096 * 20 + 8 + 904 * 20, #good)

    local function known(clock_ms)
      open { clock_ms = clock_ms }
      local count = 0
      store.querier = C.store_querier(store.store)
      store:each({}, nil, nil, function(one)
        local out = ffi.new("struct series_use")
        C.store_use_get(store.store, one.fp, out)
        if out.reads >= 0 then
          assert.equal(0, tonumber(out.reads))
          assert.equal(T, tonumber(out.created_ms))
          count = count + 1
        else -- seen now, and never read
          assert.equal(clock_ms, tonumber(out.created_ms))
          assert.equal(0, tonumber(out.last_read_ms))
        end
      end)
      store:abandon()
      return count
    end

    local function flip(at)
      return good:sub(1, at) .. string.char((good:byte(at + 1) + 1) % 256) .. good:sub(at + 2)
    end
    for name, case in pairs {
      ["in the first block"] = { flip(1000), 904 },
      ["in the last block"] = { flip(#good - 5), 4096 },
      ["of a checksum"] = { flip(12), 904 },
      ["of a number of records"] = { flip(11), 0 },
      ["of the magic"] = { flip(0), 0 },
      ["cut within a block"] = { good:sub(1, -3), 4096 },
      ["cut between blocks"] = { good:sub(1, 8 + 8 + 4096 * 20), 4096 },
      ["empty"] = { "", 0 },
      ["zeroes"] = { ("\0"):rep(#good), 0 },
    } do
      replace(case[1])
      assert.equal(case[2], known(T + DAY), name)
    end
  end)

  -- Exit status and output of a command on the folder.
  local function run(command)
    local build = os.getenv("BUILD") or "build"
    local pipe = io.popen(("%s/tidemark %s --data %s 2>&1; echo status=$?"):format(build, command,
      folder))
    local text = pipe:read("*a")
    pipe:close()
    return tonumber(text:match("status=(%d+)\n$")), text
  end

  it("is looked at by verify, and written anew by repair", function()
    open()
    local entries = {}
    for i = 1, 5000 do entries[i] = { { __name__ = "s" .. i }, { T, i } } end
    assert.equal(5000, (store:push(entries)))
    assert(store:close())
    local status, text = run "verify"
    assert.equal(0, status, text)
    local good = content()
    for said, bytes in pairs {
      ["damaged: use.db: 1 damaged blocks\n"] = good:sub(1, 1000) .. "x" .. good:sub(1002),
      ["damaged: use.db: it ends within a block, at byte 81936\n"] = good:sub(1, -2),
      ["damaged: use.db: it does not begin as such a file\n"] = "TM",
    } do
      replace(bytes)
      status, text = run "verify"
      assert.equal(1, status, text)
      assert.truthy(text:find(said, 1, true), text)
      assert.equal(0, (run "repair"))
      status, text = run "verify"
      assert.equal(0, status, text)
      assert.equal(#good, #content())
    end
  end)

  it("is counted exactly by many threads, while series come and are archived", function()
    local build, sanitizer = os.getenv("BUILD") or "build", os.getenv("SANITIZER") or ""
    local tool = build .. "/tools/use_threads"
    assert(os.execute(("make -s SANITIZER='%s' %s"):format(sanitizer, tool)) == 0)
    local pipe = io.popen(("env -u LD_PRELOAD timeout 120 %s %s %d 2>&1"):format(tool, folder,
      sanitizer == "" and 40 or 15))
    local text = pipe:read("*a")
    pipe:close()
    assert.equal("wrong 0\n", text)
  end)

  it("costs 12 bytes a series at most, 4 where nothing was read", function()
    open { data_dir = nil }
    local count = 8192
    local entries = {}
    for i = 1, count do entries[i] = { { __name__ = "m", i = tostring(i) }, { T, i } } end
    local empty = tonumber(store:stats().series_bytes)
    assert.equal(count, (store:push(entries)))
    local unread = tonumber(store:stats().series_bytes)
    read("m", true)
    assert.equal(8 * count, tonumber(store:stats().series_bytes) - unread)
    assert.is_true(unread - empty >= 4 * count)
  end)

  it("goes into snapshots", function()
    open()
    push({ "a" }, T)
    read("a", true)
    local tide = require "spec.support.tide"
    tide.load("store/snapshot.h")
    local info, err = ffi.new("struct snapshot_info"), tide.error()
    assert.equal(0, C.store_snapshot(store.store, nil, info, err), tide.text(err))
    local was = use "a"
    assert(store:close())
    local kept = folder
    folder = kept .. "/snapshots/" .. ffi.string(info.name)
    open { clock_ms = T + DAY }
    assert.same(was, use "a")
    assert(store:close())
    folder = kept
  end)
end)
