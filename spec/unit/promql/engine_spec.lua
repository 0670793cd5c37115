-- The engine's door: types of answers, limits, errors, what is read. What the language means is
-- tested by upstream's scripts in spec/promql.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local memory = require "spec.support.memory_querier"
local C = tide.load("base/buf.h", "base/clock.h", "promql/annotations.h", "promql/engine.h")

local MATRIX = 4
local INVALID, LIMIT, TIMEOUT, CANCELLED, EXECUTION

local function open(options)
  local store = memory.new(options)
  for host = 1, 3 do
    local samples = {}
    for i = 0, 60 do samples[#samples + 1] = { i * 10000, host * i } end
    store.add({ { "__name__", "up_total" }, { "host", "h" .. host } }, samples)
  end
  return store
end

-- Runs a query; options: start, stop, step in ms, and fields of struct promql_query.
local function run(store, text, options)
  local query = ffi.new("struct promql_query")
  query.text, query.len = text, #text
  query.start_ms = options.start or 600000
  query.end_ms, query.step_ms = options.stop or 0, options.step or 0
  query.querier = store.querier
  for _, field in ipairs { "max_samples", "deadline_ns", "cancelled", "per_step" } do
    if options[field] then query[field] = options[field] end
  end
  local answer = { value = ffi.new("struct value"), stats = ffi.new("struct query_stats"),
    notes = ffi.new("struct annotations"), err = tide.error() }
  local status = C.promql_execute(query, answer.value, answer.notes, answer.stats, answer.err)
  answer.ok = status == 0
  assert.equal(0, store.open())
  return answer
end

local function free(answer)
  C.value_destroy(answer.value)
  C.annotations_destroy(answer.notes)
  C.query_stats_destroy(answer.stats)
end

local function failure(store, text, options)
  local answer = run(store, text, options or {})
  assert.is_false(answer.ok, text)
  assert.equal(0, tonumber(answer.value.type))
  local code, message = tonumber(answer.err.code), tide.text(answer.err)
  free(answer)
  return code, message
end

describe("promql_execute", function()
  local store

  setup(function()
    INVALID, LIMIT = tonumber(C.ERR_INVALID), tonumber(C.ERR_LIMIT)
    TIMEOUT, CANCELLED = tonumber(C.ERR_TIMEOUT), tonumber(C.ERR_CANCELLED)
    EXECUTION = tonumber(C.ERR_EXECUTION)
  end)
  before_each(function() store = open() end)
  after_each(function() store.close() end)

  it("answers instant vectors in order of labels, without a read", function()
    local answer = run(store, "up_total", {})
    assert.equal(3, tonumber(answer.value.count))
    for i = 0, 2 do assert.equal((i + 1) * 60, answer.value.series[i].value) end
    assert.equal(0, store.reads)
    free(answer)
  end)

  it("reads when the last sample is newer than the time asked for", function()
    local answer = run(store, "up_total", { start = 305000 })
    assert.equal(30, answer.value.series[0].value)
    assert.equal(3, store.reads)
    free(answer)
  end)

  it("reads each series once for a range, also when it is used twice", function()
    local answer = run(store, "sum(rate(up_total[1m])) / sum(rate(up_total[1m])) + sum(up_total)",
      { start = 300000, stop = 600000, step = 10000 })
    assert.is_true(answer.ok)
    assert.equal(MATRIX, tonumber(answer.value.type))
    assert.equal(31, tonumber(answer.value.series[0].samples.len))
    assert.equal(1, store.selects)
    assert.equal(3, store.reads)
    free(answer)
  end)

  it("evaluates what is fixed by @ once", function()
    local answer = run(store, "rate(up_total[5m] @ 600)", { start = 0, stop = 600000, step = 1000 })
    assert.equal(3, store.reads)
    assert.equal(601, tonumber(answer.value.series[0].samples.len))
    free(answer)
  end)

  it("counts samples for stats, in all and per step", function()
    local answer = run(store, "sum_over_time(up_total[30s])",
      { start = 300000, stop = 320000, step = 10000, per_step = true })
    assert.equal(27, tonumber(answer.stats.samples))
    assert.equal(3, tonumber(answer.stats.steps))
    for k = 0, 2 do assert.equal(9, tonumber(answer.stats.samples_per_step[k])) end
    free(answer)
  end)

  it("refuses range queries of types that have none", function()
    local code, text = failure(store, "up_total[5m]", { start = 0, stop = 1000, step = 1000 })
    assert.equal(INVALID, code)
    assert.equal('invalid expression type "range vector" for range query, must be Scalar or ' ..
      "instant Vector", text)
  end)

  it("refuses durations that come out as nothing", function()
    local code, text = failure(store, "rate(up_total[step()])")
    assert.equal(INVALID, code)
    assert.is_truthy(text:find("duration must be greater than 0", 1, true))
  end)

  it("fails with 422 for duplicates and bad parameters", function()
    local code, text = failure(store, 'label_replace(up_total, "host", "x", "host", ".*")')
    assert.equal(EXECUTION, code)
    assert.equal("vector cannot contain metrics with the same labelset", text)
    code, text = failure(store, "topk(NaN, up_total)")
    assert.equal(EXECUTION, code)
    assert.equal("Parameter value is NaN", text)
  end)

  it("stops at the limit of samples, wherever they pile up", function()
    for _, text in ipairs { "up_total", "sum(up_total)", "rate(up_total[10m])", "up_total[10m]",
      "up_total + up_total", "max_over_time(up_total[10m:1s])", "vector(1)[200y:1ms]",
      'count_values("x", up_total)', "topk(1, up_total)" } do
      local range = not text:find("%]$")
      local code, message = failure(store, text, { max_samples = 60, start = range and 0 or 600000,
        stop = 600000, step = range and 5000 or 0 })
      assert.equal(LIMIT, code, text)
      assert.equal("query processing would load too many samples into memory in query execution",
        message)
    end
  end)

  it("stops when it is cancelled or out of time", function()
    local flag = ffi.new("int[1]", 1)
    local code, text = failure(store, "sum(up_total)", { cancelled = flag })
    assert.equal(CANCELLED, code)
    assert.equal("query was canceled in query execution", text)
    code, text = failure(store, "sum(up_total)", { deadline_ns = 1 })
    assert.equal(TIMEOUT, code)
    assert.equal("query timed out in query execution", text)
  end)

  it("stops in the middle of a long evaluation", function()
    local clock = C.clock_system()
    local code, text = failure(store, "count_over_time(sum_over_time(up_total[10m:10ms])[9m:10ms])",
      { deadline_ns = C.clock_mono_ns(clock) + 30000000LL })
    assert.equal(TIMEOUT, code)
    assert.equal("query timed out in expression evaluation", text)
  end)
end)
