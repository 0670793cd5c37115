-- Queries under way: listed, killed, stopped by their timeout or by a client that goes away; slow
-- ones logged and remembered.
local json = require "cjson"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local escape = server.escape

-- Sorts a window of 3600 samples at each of 11,000 steps, for each of 20 series: minutes of work.
local HEAVY = "quantile_over_time(0.9, load[1h])"
local TIMES = "&start=3600&end=14600&step=1"
local heavy_path = "/api/v1/query_range?query=" .. escape(HEAVY) .. TIMES

describe("a query under way", function()
  local tidemark, folder

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--retention", "forever",
      "--set", "query.log_slower_than=1ms")
    local all = {}
    for i = 1, 20 do
      local one = { labels = { __name__ = "load", host = tostring(i) } }
      for k = 1, 15000 do one[k] = { k * 1000, k * 7919 % 10007 } end
      all[i] = one
    end
    remote_write.push("http://" .. tidemark.address .. "/api/v1/write", all, 2)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function listed()
    return json.decode(tidemark:request("GET", "/api/v1/status/queries").body).data
  end
  local function start(path)
    local client = tidemark:connect(60)
    client:send("GET " .. path .. " HTTP/1.1\r\nHost: spec\r\nConnection: close\r\n\r\n")
    return client
  end
  local function wait_until_runs(path)
    local client = start(path)
    local found = process.wait_for("the query in the list", 20, function()
      local one = listed().running[1]
      return one and one.samples > 0 and one
    end)
    return client, found
  end
  local function kill(id)
    return tidemark:request("POST", "/api/v1/admin/queries/kill?id=" .. id)
  end

  it("is listed with text, times, client, and how far it is", function()
    local client, found = wait_until_runs(heavy_path)
    assert.same({ HEAVY, "range", 3600, 14600, 1, "127.0.0.1", "", false },
      { found.query, found.type, found.start, found["end"], found.step, found.client, found.user,
        found.killed })
    assert.is_true(found.age >= 0 and found.series >= 1 and found.memoryBytes > 0)
    assert.is_true(found.samples % 14600 < 1) -- whole series have been read
    assert.is_true(math.abs(found.asked - os.time()) < 60)
    kill(found.id)
    client:answer()
  end)

  it("ends at once when it is killed, and says so", function()
    local client, found = wait_until_runs(heavy_path)
    assert.same({ status = "success" }, json.decode(kill(found.id).body))
    local answer = client:answer()
    assert.equal(499, answer.status)
    assert.same({ "error", "canceled", "query was killed" },
      { json.decode(answer.body).status, json.decode(answer.body).errorType,
        json.decode(answer.body).error })
    assert.same({}, listed().running)
    assert.equal(404, kill(found.id).status)
    assert.matches('query killed.*by="127.0.0.1"', tidemark.process:output())
  end)

  it("ends when its client goes away", function()
    local client = wait_until_runs(heavy_path)
    client:close()
    process.wait_for("the end of the query", 20, function() return #listed().running == 0 end)
    local slow = listed().slow[1]
    assert.same({ HEAVY, "cancelled", false }, { slow.query, slow.outcome, slow.killed })
  end)

  it("ends at the timeout that it asks for", function()
    local answer = tidemark:request("GET", heavy_path .. "&timeout=300ms")
    assert.equal(503, answer.status)
    assert.same({ "timeout", "query timed out in expression evaluation" },
      { json.decode(answer.body).errorType, json.decode(answer.body).error })
    assert.equal("timeout", listed().slow[1].outcome)
    -- The longest that it may take is the configuration's, whatever is asked for.
    assert.equal(503, tidemark:request("GET", heavy_path .. "&timeout=50ms").status)
  end)

  it("is logged and remembered when it was slow", function()
    local text = 'count(load) + 0 * scalar(count_over_time(load{host="3"}[4h]))'
    local answer = tidemark:request("GET", "/api/v1/query_range?query=" .. escape(text) .. TIMES)
    assert.equal(200, answer.status)
    local slow = listed().slow[1]
    assert.same({ text, "success" }, { slow.query, slow.outcome })
    -- The first selector reads from 3600 s less 5 min on, the second all of one series.
    assert.equal(20 * 11300 + 14600, slow.samples)
    local line = tidemark.process:output():match("[^\n]*slow query[^\n]*count%(load[^\n]*")
    assert.matches('outcome=success samples=240600 series=21 ', line, 1, true)
    assert.matches('query="count(load) + 0 * scalar(count_over_time(load{host=\\"3\\"}[4h]))"',
      line, 1, true)
  end)

  it("keeps the newest 64 slow ones", function()
    for i = 1, 70 do
      tidemark:request("GET", "/api/v1/query_range?query=" ..
        escape("count(load) + " .. i) .. TIMES)
    end
    local slow = listed().slow
    assert.equal(64, #slow)
    assert.equal("count(load) + 70", slow[1].query)
    assert.equal("count(load) + 7", slow[64].query)
  end)

  it("is killed by a number only", function()
    assert.equal(400, kill("x").status)
    assert.equal(400, tidemark:request("POST", "/api/v1/admin/queries/kill").status)
    assert.equal(404, kill("99999999").status)
    assert.equal(405, tidemark:request("GET", "/api/v1/admin/queries/kill?id=1").status)
  end)
end)
