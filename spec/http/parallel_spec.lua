-- A query over many series is spread over idle threads of the query pool: same answer, same limits.
local json = require "cjson"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local escape = server.escape

describe("a query over many series", function()
  local tidemark, folder

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--retention", "forever",
      "--set", "query.max_samples=1200000")
    local all = {}
    for i = 1, 300 do
      local one = { labels = { __name__ = "work_total", host = tostring(i),
        rack = tostring(i % 7) } }
      for k = 1, 1000 do one[k] = { k * 10000 + i, (k * i * 7919) % (100003 + i) } end
      all[i] = one
    end
    remote_write.push("http://" .. tidemark.address .. "/api/v1/write", all, 50)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function range(query, more)
    local answer = tidemark:request("GET", ("/api/v1/query_range?query=%s&start=300&end=9900" ..
      "&step=5%s"):format(escape(query), more or ""))
    return json.decode(answer.body), answer.status
  end
  local function helps()
    local text = tidemark:request("GET", "/metrics").body
    return tonumber(text:match("\ntidemark_query_helps_total (%d+)"))
  end

  local function has_processors()
    local pipe = io.popen("nproc")
    local count = tonumber(pipe:read("*a"))
    pipe:close()
    return count > 1
  end

  for _, query in ipairs { "sum by (rack) (rate(work_total[5m]))",
    "max(max_over_time(work_total[2m]))", "topk(1, work_total)", "stddev(work_total)",
    "sum(work_total) - sum(work_total offset 1m)" } do
    it("answers the same as one thread does: " .. query, function()
      local before = helps()
      local answer, status = range(query)
      assert.equal(200, status)
      if has_processors() then assert.is_true(helps() > before, "nobody helped") end
      -- What is counted for each step is counted by one thread.
      local alone = range(query, "&stats=all")
      assert.same(alone.data.result, answer.data.result)
      assert.is_true(#answer.data.result > 0)
    end)
  end

  it("counts the samples of all threads", function()
    local query = "count(rate(work_total[5m]))"
    local alone, counted = range(query, "&stats=all"), range(query, "&stats=1")
    for _, field in ipairs { "totalQueryableSamples", "samplesRead" } do
      assert.equal(alone.data.stats.samples[field], counted.data.stats.samples[field])
      assert.is_true(counted.data.stats.samples[field] > 300 * 900)
    end
  end)

  it("is stopped at the limit of samples wherever they are", function()
    -- 300 series of 1921 steps are kept on each side, and the samples that both of them read.
    local answer, status = range("count(sort(work_total) + sort(rate(work_total[5m])))")
    assert.equal(422, status)
    assert.matches("too many samples", answer.error)
  end)

  it("is stopped by its timeout on all threads", function()
    local answer, status = range("quantile_over_time(0.9, work_total[2h])", "&timeout=200ms")
    assert.equal(503, status)
    assert.equal("query timed out in expression evaluation", answer.error)
  end)
end)
