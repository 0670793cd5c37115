-- Parameters of /api/v1/query and query_range besides the query: limit, lookback_delta, stats; in
-- the address or in a form.
local json = require "cjson"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local escape = server.escape

describe("a query's parameters", function()
  local tidemark, folder

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--retention", "forever")
    local all = {}
    for i = 1, 5 do
      all[i] = { labels = { __name__ = "up", host = "h" .. i } }
      for k = 0, 60 do all[i][k + 1] = { 1000000 + k * 10000, i + k } end
    end
    remote_write.push("http://" .. tidemark.address .. "/api/v1/write", all)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function form(fields)
    local parts = {}
    for name, value in pairs(fields) do parts[#parts + 1] = name .. "=" .. escape(value) end
    return table.concat(parts, "&")
  end
  local function get(path, fields)
    local answer = tidemark:request("GET", path .. "?" .. form(fields))
    return json.decode(answer.body), answer.status
  end
  local function post(path, fields)
    local answer = tidemark:request("POST", path, form(fields),
      { ["Content-Type"] = "application/x-www-form-urlencoded" })
    return json.decode(answer.body), answer.status
  end
  local INSTANT, RANGE = "/api/v1/query", "/api/v1/query_range"

  it("are the same in a form", function()
    local instant = { query = "sum by (host) (up)", time = "1300" }
    assert.same(get(INSTANT, instant), post(INSTANT, instant))
    local range = { query = "rate(up[1m])", start = "1100", ["end"] = "1300", step = "20s" }
    local answer = get(RANGE, range)
    assert.same(answer, post(RANGE, range))
    assert.equal(5, #answer.data.result)
    assert.equal(11, #answer.data.result[1].values)
    assert.same({ 1100, "0.1" }, answer.data.result[1].values[1])
  end)

  it("cut the answer at limit series, with a warning", function()
    for _, path in ipairs { INSTANT, RANGE } do
      local fields = { query = "up", time = "1300", start = "1100", ["end"] = "1300", step = "100",
        limit = "2" }
      local answer = get(path, fields)
      assert.equal(2, #answer.data.result)
      assert.same({ "h1", "h2" }, { answer.data.result[1].metric.host,
        answer.data.result[2].metric.host })
      assert.same({ "results truncated due to limit" }, answer.warnings)
      for _, enough in ipairs { "5", "0" } do
        fields.limit = enough
        answer = get(path, fields)
        assert.equal(5, #answer.data.result)
        assert.is_nil(answer.warnings)
      end
    end
  end)

  it("look back as far as lookback_delta says", function()
    local function count(time, delta)
      return #get(INSTANT, { query = "up", time = time, lookback_delta = delta }).data.result
    end
    assert.equal(5, count("1899", nil))
    assert.equal(0, count("1900", nil)) -- the last sample is at 1600: five minutes, left-open
    assert.equal(5, count("1900", "301"))
    assert.equal(5, count("1900", "6m"))
    assert.equal(0, count("1605", "5s"))
    assert.equal(5, count("1605", "5001ms"))
    local answer = get(RANGE, { query = 'up{host="h1"}', start = "1600", ["end"] = "1630",
      step = "10", lookback_delta = "15s" })
    assert.same({ { 1600, "61" }, { 1610, "61" } }, answer.data.result[1].values)
    assert.equal(400, select(2, get(INSTANT, { query = "up", lookback_delta = "soon" })))
  end)

  it("ask for statistics, in all or step by step", function()
    local fields = { query = "sum_over_time(up[1m])", start = "1100", ["end"] = "1120",
      step = "10" }
    assert.is_nil(get(RANGE, fields).data.stats)
    fields.stats = "true"
    local stats = get(RANGE, fields).data.stats
    for _, name in ipairs { "evalTotalTime", "resultSortTime", "queryPreparationTime",
      "innerEvalTime", "execQueueTime", "execTotalTime" } do
      assert.is_true(stats.timings[name] >= 0, name)
    end
    assert.equal(5 * 6 * 3, stats.samples.totalQueryableSamples)
    assert.is_true(stats.samples.peakSamples > 0)
    assert.is_nil(stats.samples.totalQueryableSamplesPerStep)
    fields.stats = "all"
    stats = get(RANGE, fields).data.stats
    assert.equal(90, stats.samples.totalQueryableSamples)
    assert.same({ { 1100, 30 }, { 1110, 30 }, { 1120, 30 } },
      stats.samples.totalQueryableSamplesPerStep)
    local instant = get(INSTANT, { query = "up", time = "1300", stats = "all" }).data.stats
    assert.same({ { 1300, 5 } }, instant.samples.totalQueryableSamplesPerStep)
  end)
end)

describe("query.experimental", function()
  it("off refuses what Prometheus hides behind options, in upstream's words", function()
    local folder = process.folder()
    local file = assert(io.open(folder .. "/config.lua", "w"))
    file:write('return { query = { experimental = "off" } }\n')
    file:close()
    local tidemark = server.start(folder .. "/data", "--config", folder .. "/config.lua")
    local function error_of(path, query)
      local answer = tidemark:request("GET", path .. "?query=" .. escape(query))
      return json.decode(answer.body).error, answer.status
    end
    for query, text in pairs {
      ["mad_over_time(x[5m])"] = '1:1: parse error: function "mad_over_time" is not enabled',
      ["limitk(1, x)"] = "1:1: parse error: limitk() is experimental and must be enabled with " ..
        "--enable-feature=promql-experimental-functions",
      ["x[5m * 2]"] = "1:3: parse error: experimental duration expression is not enabled",
      ["rate(x[5m] anchored)"] =
        "1:6: parse error: anchored modifier is experimental and not enabled",
      ["x + fill(0) y"] =
        "1:5: parse error: binop fill modifiers are experimental and not enabled",
    } do
      for _, path in ipairs { "/api/v1/query", "/api/v1/format_query" } do
        local told, status = error_of(path, query)
        assert.same({ 400, 'invalid parameter "query": ' .. text }, { status, told })
      end
    end
    assert.is_nil((error_of("/api/v1/query", "rate(x[5m] offset -1m @ 5)")))
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)
end)
