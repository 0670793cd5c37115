-- A store on disk over its life: restarts, crashes, rounds of persistence, retention, the archive.
-- Time is a clock that the spec moves; background work runs when the spec says so.
local ffi = require "ffi"
local engine = require "spec.unit.store.engine"

local T = 1600000000000
local HOUR = 3600000
local FOREVER = 9223372036854775807LL

local function metric(labels)
  labels.__name__ = labels.__name__ or "m"
  return labels
end

-- Irregular values, so that chunks fill after some 100 samples.
local function value(i, k) return math.sin(i * 7919 + k * 104729) * 1e6 end

describe("a store on disk", function()
  local folder, store

  local function open(settings)
    settings = settings or {}
    settings.data_dir = folder
    settings.retention_ms = settings.retention_ms or FOREVER
    settings.clock_ms = settings.clock_ms or T
    settings.out_of_order_ms = 0 -- as in 1.x; late samples: late_spec.lua
    store = assert(engine.open(settings))
    return store
  end

  local function reopen(settings)
    assert(store:close())
    return open(settings)
  end

  -- `count` samples a series from `from_ms` on, `step_ms` apart, for `series` series.
  local function fill(series, from_ms, count, step_ms)
    for k = 0, count - 1 do
      local entries = {}
      for i = 1, series do
        entries[i] = { metric { i = tostring(i) }, { from_ms + k * step_ms, value(i, k) } }
      end
      local accepted, refused = store:push(entries)
      assert.equal(series, accepted, next(refused or {}))
    end
  end

  local function expect(series, from_ms, count, step_ms, first)
    local found = 0
    store:each({ { "__name__", "=", "m" } }, nil, nil, function(one, columns, text)
      local i = tonumber(engine.metric(one.labels).i)
      assert(columns, text)
      assert.equal(count - (first or 0), tonumber(columns.len))
      for k = first or 0, count - 1 do
        local at = k - (first or 0)
        assert.equal(from_ms + k * step_ms, tonumber(columns.times_ms[at]))
        assert.equal(value(i, k), columns.values[at])
      end
      found = found + 1
    end)
    assert.equal(series, found)
  end

  before_each(function() folder, store = engine.folder(), nil end)
  after_each(function()
    if store and store.store then store:abandon() end
    engine.remove(folder)
  end)

  it("makes an empty folder into one of version 1", function()
    open()
    assert(store:close())
    local file = assert(io.open(folder .. "/VERSION"))
    assert.equal("1\n", file:read("*a"))
    file:close()
    assert.is_nil(io.open(folder .. "/DIRTY"))
  end)

  it("has all samples after a restart, and goes on in the same chunks", function()
    open()
    fill(20, T - HOUR, 300, 1000)
    reopen()
    assert.is_false(store:stats().started_dirty)
    expect(20, T - HOUR, 300, 1000)
    assert.equal(20, tonumber(store:stats().open_heads))
    -- Identical repeats are still known for what they are.
    assert.equal(1, (store:push { { metric { i = "3" }, { T - HOUR + 299000, value(3, 299) } } }))
    local _, refused = store:push { { metric { i = "3" }, { T - HOUR + 299000, 1 } } }
    assert.same({ duplicate_timestamp = 1 }, refused)
    _, refused = store:push { { metric { i = "3" }, { T - HOUR + 298000, 1 } } }
    assert.same({ out_of_order = 1 }, refused)
    expect(20, T - HOUR, 300, 1000)
  end)

  it("persists completed chunks in a round and reads them from file and memory alike", function()
    open()
    fill(30, T - HOUR, 500, 1000)
    local before = tonumber(store:stats().chunks_to_persist)
    assert.is_true(before > 60)
    store:run "persist"
    assert.equal(0, tonumber(store:stats().chunks_to_persist))
    expect(30, T - HOUR, 500, 1000)
    engine.C.store_evict(store.store, 0)
    assert.equal(30, tonumber(store:stats().chunks_in_memory))
    expect(30, T - HOUR, 500, 1000)
    reopen()
    expect(30, T - HOUR, 500, 1000)
    assert.equal(30, tonumber(store:stats().chunks_in_memory))
  end)

  it("waits a minute for a round, or until it is full", function()
    open()
    fill(5, T - HOUR, 300, 1000)
    store:run "tick"
    assert.is_true(tonumber(store:stats().chunks_to_persist) > 0)
    store:advance(61000)
    store:run "tick"
    assert.equal(0, tonumber(store:stats().chunks_to_persist))
  end)

  it("reads any range of a long file", function()
    open()
    fill(1, T - 20 * HOUR, 12000, 5000)
    store:run "persist"
    engine.C.store_evict(store.store, 0)
    for _, range in ipairs { { 0, 10 }, { 5000, 5003 }, { 7000, 11999 }, { 11990, 11999 } } do
      local samples = store:query({ { "i", "=", "1" } }, T - 20 * HOUR + range[1] * 5000,
        T - 20 * HOUR + range[2] * 5000)['{__name__="m", i="1"}']
      assert.equal(range[2] - range[1] + 1, #samples)
      assert.equal(value(1, range[1]), samples[1][2])
      assert.equal(value(1, range[2]), samples[#samples][2])
    end
  end)

  it("keeps what a checkpoint or a round held when it crashes", function()
    open()
    fill(10, T - HOUR, 400, 1000)
    store:run "checkpoint"
    store:run "persist" -- the files have chunks that heads.db holds too
    store:abandon()
    open()
    assert.is_true(store:stats().started_dirty)
    expect(10, T - HOUR, 400, 1000)
    reopen()
    assert.is_false(store:stats().started_dirty)
    expect(10, T - HOUR, 400, 1000)
  end)

  it("stitches by sample when a head went on after the checkpoint", function()
    open()
    fill(10, T - HOUR, 100, 1000)
    store:run "checkpoint"
    for k = 100, 399 do
      local entries = {}
      for i = 1, 10 do
        entries[i] = { metric { i = tostring(i) }, { T - HOUR + k * 1000, value(i, k) } }
      end
      store:push(entries)
    end
    store:run "persist"
    store:abandon()
    open()
    -- Persisted chunks and the checkpoint are there, each sample once, in order, from the first on.
    local found = 0
    store:each({ { "__name__", "=", "m" } }, nil, nil, function(one, columns)
      local i = tonumber(engine.metric(one.labels).i)
      assert.is_true(tonumber(columns.len) >= 100)
      for k = 0, tonumber(columns.len) - 1 do
        assert.equal(T - HOUR + k * 1000, tonumber(columns.times_ms[k]))
        assert.equal(value(i, k), columns.values[k])
      end
      found = found + 1
    end)
    assert.equal(10, found)
  end)

  it("finds the metrics of files again that no checkpoint knows", function()
    open()
    fill(3, T - HOUR, 400, 1000)
    store:run "persist"
    store:run "checkpoint"
    fill(3, T + 1000, 1, 1000)
    assert(store:close())
    os.remove(folder .. "/heads.db")
    open()
    assert.is_true(store:stats().started_dirty)
    assert.equal(3, #store:names { { "__name__", "=", "m" } })
    assert.same({ "1", "2", "3" }, store:label_values("i"))
  end)

  it("closes idle heads, persists and archives them, and un-archives on the next sample", function()
    open { head_chunk_timeout_ms = HOUR }
    fill(12, T - HOUR, 50, 1000)
    store:advance(2 * HOUR)
    store:run "maintain"
    assert.equal(0, tonumber(store:stats().open_heads))
    store:run "persist"
    store:run "maintain"
    assert.equal(12, tonumber(store:stats().series_archived))
    assert.equal(0, tonumber(store:stats().series_in_memory))
    expect(12, T - HOUR, 50, 1000)
    assert.same({ "12" }, store:label_values("i", { { "i", "=~", "1[2-9]" } }))
    -- Over a restart, too.
    reopen()
    assert.equal(12, tonumber(store:stats().series_archived))
    expect(12, T - HOUR, 50, 1000)
    -- One comes back with a sample; the archive's entry outlives it until a checkpoint.
    store:push { { metric { i = "5" }, { T, 5 } } }
    assert.equal(11, tonumber(store:stats().series_archived))
    assert.equal(51, #store:query { { "i", "=", "5" } }['{__name__="m", i="5"}'])
    local _, refused = store:push { { metric { i = "5" }, { T - HOUR, 5 } } }
    assert.same({ out_of_order = 1 }, refused)
    store:abandon()
    open()
    assert.equal(50, #store:query { { "i", "=", "5" } }['{__name__="m", i="5"}'])
    reopen()
    assert.is_false(store:stats().started_dirty)
    expect(12, T - HOUR, 50, 1000)
  end)

  it("drops what is too old, whole series in the end, and keeps disk and memory level", function()
    open { retention_ms = 2 * HOUR, min_shrink_ratio = 0, head_chunk_timeout_ms = HOUR / 2 }
    local most = 0
    for hour = 1, 40 do
      local from = T + (hour - 1) * HOUR
      store:advance(HOUR)
      for k = 0, 119 do
        local entries = {}
        for i = 1, 5 do -- series of the hour: churn
          entries[i] = { metric { i = tostring(i), hour = tostring(hour) },
            { from + k * 30000, value(i, k + hour * 1000) } }
        end
        entries[6] = { metric { i = "stays" }, { from + k * 30000, value(6, k + hour * 1000) } }
        store:push(entries)
      end
      store:run "maintain"
      store:run "persist"
      store:run "maintain"
      store:run "maintain"
      local stats = store:stats()
      most = math.max(most, tonumber(stats.series_in_memory) + tonumber(stats.series_archived))
    end
    assert.is_true(most <= 5 * 4 + 1, "series: " .. most)
    assert.is_true(#store:label_values("hour") <= 4)
    local stays = store:query({ { "i", "=", "stays" } })['{__name__="m", i="stays"}']
    assert.is_true(#stays >= 120 and #stays < 120 * 5, #stays)
    assert.equal(T + 40 * HOUR - 30000, stays[#stays][1])
    reopen { retention_ms = 2 * HOUR, clock_ms = T + 40 * HOUR }
    assert.is_false(store:stats().started_dirty)
    local pipe = io.popen(("find %s -name '*.db' -path '*/??/*' | wc -l"):format(folder))
    assert.is_true(tonumber(pipe:read("*a")) <= most)
    pipe:close()
  end)

  it("quarantines a series whose file is damaged, and takes its samples anew", function()
    open { retention_ms = HOUR, clock_ms = T }
    fill(2, T - HOUR / 2, 300, 1000)
    store:run "persist"
    local hex = ffi.new("char[17]")
    store:each({ { "i", "=", "1" } }, nil, nil, function(one)
      engine.C.fingerprint_format(hex, one.fp)
    end)
    local name = ffi.string(hex):gsub("^(..)", "%1/")
    local file = assert(io.open(folder .. "/" .. name .. ".db", "ab"))
    file:write("torn")
    file:close()
    store:advance(2 * HOUR)
    store:run "maintain" -- meets the damage
    store:run "maintain"
    assert.same({}, store:names { { "i", "=", "1" } })
    local hint = assert(io.open(folder .. "/orphaned/" .. name .. ".hint"))
    assert.equal('m{i="1"}', hint:read("*l"))
    hint:close()
    assert.truthy(io.open(folder .. "/orphaned/" .. name .. ".db"))
    assert.equal(1, (store:push { { metric { i = "1" }, { T + 2 * HOUR, 1 } } }))
    assert.same({ '{__name__="m", i="1"}' }, store:names { { "i", "=", "1" } })
    assert(store:close())
    open { clock_ms = T + 2 * HOUR }
    assert.is_false(store:stats().started_dirty)
    assert.equal(1, #store:query { { "i", "=", "1" } }['{__name__="m", i="1"}'])
  end)

  it("takes the configuration's answers where a policy has no function", function()
    local policy = ffi.new("struct policy")
    open { policy = policy, retention_ms = HOUR }
    fill(2, T - HOUR / 2, 10, 1000)
    store:run "maintain"
    expect(2, T - HOUR / 2, 10, 1000)
  end)

  it("keeps colliding metrics apart over restarts", function()
    -- Two metrics of one raw fingerprint, from the vectors of the original.
    local vectors = require("spec.support.tide").vectors("vectors/fingerprints.json")
    local by_fp, pair = {}, nil
    for _, m in ipairs(vectors.metrics) do
      local other = by_fp[m.fast_fingerprint]
      if other and other.unique_string_hex ~= m.unique_string_hex then pair = { other, m } end
      by_fp[m.fast_fingerprint] = m
    end
    if not pair then return pending("no collision in the vectors") end
    open()
    for n, m in ipairs(pair) do
      local labels = {}
      for _, label in ipairs(m.labels) do labels[#labels + 1] = label end
      -- The fingerprint is an XOR over the labels: the same one more keeps them equal.
      labels[#labels + 1] = { "__name__", "c" }
      store:push { { labels, { T, n } } }
    end
    local function values()
      local list = {}
      store:each({}, nil, nil, function(_, columns) list[#list + 1] = columns.values[0] end)
      table.sort(list)
      return list
    end
    assert.same({ 1, 2 }, values())
    reopen()
    assert.same({ 1, 2 }, values())
  end)
end)

describe("/metrics of a store", function()
  it("have the names of Prometheus 1.x and count what happens", function()
    local C = engine.C
    local folder = engine.folder()
    local metrics = C.metrics_new()
    local store = assert(engine.open {
      data_dir = folder, metrics = metrics, out_of_order_ms = 0,
    })
    for k = 1, 300 do
      store:push { { metric {}, { T - HOUR + k * 1000, value(1, k) } } }
    end
    store:push { { metric {}, { T - HOUR, 1 } } }
    store:run "persist"
    store:run "checkpoint"
    local buf = ffi.new("struct buf")
    C.metrics_write(metrics, buf)
    local text = ffi.string(buf.data, buf.len)
    C.buf_destroy(buf)
    local prefix = "\nprometheus_local_storage_"
    local late = 'out_of_order_samples_total{reason="timestamp_out_of_order"} 1\n'
    for _, line in ipairs {
      "ingested_samples_total 300\n", late, "memory_series 1\n", "open_head_chunks 1\n",
      "chunks_to_persist 0\n", 'series_ops_total{type="create"} 1\n', "started_dirty 0\n",
      "checkpointing 0\n", "checkpoint_duration_seconds_count 1\n",
      "series_chunks_persisted_count 1\n",
    } do
      assert.truthy(text:find(prefix .. line, 1, true), line)
    end
    assert(store:close())
    C.metrics_free(metrics)
    engine.remove(folder)
  end)
end)
