-- Limits of queries over real sockets: who hangs up, or runs out of time, costs no more CPU; those
-- who wait take turns by address; what waits and nobody wants any more is not run.
local json = require "cjson"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"
local socket = require "socket"

local escape = server.escape

local TIMES = "&start=3600&end=14600&step=1"
-- Each is seconds or minutes of work, of another kind.
local HEAVY = {
  "quantile_over_time(0.9, load[1h])",
  "sum(rate(load[1h]))",
  "quantile_over_time(0.5, sum(load)[1h:1s])",
  "topk(3, stddev_over_time(load[30m]))",
  "count_values(\"v\", load * on (host) group_left load)",
  "sort(label_replace(avg_over_time(load[30m]), \"a\", \"$1$1\", \"host\", \"(.*)\"))",
  "load + on () group_left sum(deriv(load[1h]))",
}

-- Of CPU after the end, in seconds: 50 ms on each of two threads, and what asking costs.
local MOST = 0.2

describe("limits of queries", function()
  local tide, folder

  setup(function()
    folder = process.folder()
    local config = assert(io.open(folder .. "/config.lua", "w"))
    config:write('return { storage = { retention = "forever" }, query = { concurrency = 2 } }\n')
    config:close()
    tide = server.start(folder .. "/data", "--config", folder .. "/config.lua")
    local all = {}
    for i = 1, 60 do
      local one = { labels = { __name__ = "load", host = tostring(i) } }
      for k = 1, 15000 do one[k] = { k * 1000, k * 7919 * i % 10007 } end
      all[i] = one
    end
    remote_write.push("http://" .. tide.address .. "/api/v1/write", all, 2)
  end)
  teardown(function()
    assert.equal(0, tide:stop())
    process.remove(folder)
  end)

  local function running()
    return #json.decode(tide:request("GET", "/api/v1/status/queries").body).data.running
  end
  local function waiting_and_running()
    local text = tide:request("GET", "/metrics").body
    return tonumber(text:match("\ntidemark_query_waiting (%d+)")),
      tonumber(text:match("\ntidemark_query_running (%d+)"))
  end
  local function idle()
    process.wait_for("no query", 20, function()
      local waits, runs = waiting_and_running()
      return waits + runs == 0 and running() == 0
    end)
  end

  -- A connection from another address of this machine.
  local function connect_from(address)
    local tcp = assert(socket.tcp())
    tcp:settimeout(30)
    assert(tcp:bind(address, 0))
    assert(tcp:connect("127.0.0.1", tide.port))
    return tcp
  end
  local function get(path) return "GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n" end
  local function range(query) return "/api/v1/query_range?query=" .. escape(query) .. TIMES end

  local function figure(what, seconds)
    if os.getenv("FIGURES") then print(("\n%s: %.2f s of CPU"):format(what, seconds)) end
    if not os.getenv("SANITIZER") then assert.is_true(seconds < MOST, what .. ": " .. seconds) end
  end

  for i, query in ipairs(HEAVY) do
    it("a client that hangs up ends its query: " .. query, function()
      local client = tide:connect(60)
      -- With another request behind it in one case, and with half of one in another.
      local behind = { "", get("/-/healthy"), "GE" }
      client:send(get(range(query)) .. behind[i % 3 + 1])
      process.wait_for("it to run", 20, function() return running() == 1 end)
      local before = tide.process:usage()
      client:close()
      idle()
      figure("hung up", tide.process:usage() - before)
    end)

    it("a timeout ends it: " .. query, function()
      local before = tide.process:usage()
      local answer = tide:request("GET", range(query) .. "&timeout=100ms")
      assert.equal(503, answer.status)
      assert.equal("timeout", json.decode(answer.body).errorType)
      idle()
      -- The time itself may be used, by two threads.
      figure("timed out", tide.process:usage() - before - 0.2)
    end)
  end

  it("what waits takes turns by address", function()
    -- One address fills both threads and queues many; another asks one thing, later.
    local greedy, modest = {}, connect_from("127.0.0.2")
    for i = 1, 40 do
      greedy[i] = connect_from("127.0.0.1")
      greedy[i]:send(get(range("sum(rate(load[5m]))")))
    end
    process.wait_for("a queue", 20, function() return waiting_and_running() > 30 end)
    modest:send(get("/api/v1/query?query=1"))
    assert.truthy(modest:receive("*l"):find("^HTTP/1.1 200 "))
    -- At most those that ran when it came, and the one whose turn was next on each thread.
    assert.is_true(waiting_and_running() >= 28)
    modest:close()
    local before = tide.process:usage()
    for i = 1, 40 do greedy[i]:close() end
    idle()
    figure("40 hung up", tide.process:usage() - before)
  end)

  it("and by user, where users are known, also behind one address", function()
    local known = server.configured('return { listen = "127.0.0.1:PORT", query = { ' ..
      'concurrency = 1 }, http = { users = { { user = "greedy", token = ' ..
      '"token-of-the-greedy", roles = "read" }, { user = "modest", token = ' ..
      '"token-of-the-modest", roles = "read" } } } }'):ready()
    local function ask(connection, token, query)
      connection:send("GET /api/v1/query?query=" .. escape(query) .. " HTTP/1.1\r\nHost: a\r\n" ..
        "Authorization: Bearer " .. token .. "\r\n\r\n")
    end
    local greedy, slow = {}, "count(quantile_over_time(0.9, vector(1)[1h:1ms]))" -- 0.3 s each
    for i = 1, 30 do
      greedy[i] = known:connect(60)
      ask(greedy[i], "token-of-the-greedy", slow)
    end
    local function waiting()
      local text = known:request("GET", "/metrics", nil,
        { Authorization = "Bearer token-of-the-modest" }).body
      return tonumber(text:match("\ntidemark_query_waiting (%d+)"))
    end
    process.wait_for("a queue", 20, function() return waiting() > 20 end)
    local modest = known:connect(60)
    ask(modest, "token-of-the-modest", "1")
    assert.equal(200, modest:answer().status)
    assert.is_true(waiting() >= 18)
    modest:close()
    for i = 1, 30 do greedy[i]:close() end
    assert.equal(0, known:stop())
    process.remove(known.folder)
  end)

  it("waiting counts as time: what cannot be in time is not begun", function()
    local greedy = {}
    for i = 1, 2 do
      greedy[i] = tide:connect()
      greedy[i]:send(get(range(HEAVY[1])))
    end
    process.wait_for("both threads to be busy", 20, function() return running() == 2 end)
    local late = tide:connect(60)
    late:send(get(range(HEAVY[2]) .. "&timeout=200ms"))
    process.wait_for("it to wait", 20, function() return waiting_and_running() == 1 end)
    socket.sleep(0.25) -- its time
    local before = tide.process:usage()
    for i = 1, 2 do greedy[i]:close() end
    local answer = late:answer()
    assert.same({ 503, "timeout" }, { answer.status, json.decode(answer.body).errorType })
    late:close()
    idle()
    figure("never begun", tide.process:usage() - before)
  end)
end)

describe("memory of all queries", function()
  local tide
  setup(function()
    tide = server.configured('return { listen = "127.0.0.1:PORT", storage = { retention = ' ..
      '"forever" }, query = { memory = "20MiB" }, http = { body_timeout = "2s" } }'):ready()
    local lines, times = {}, {}
    for k = 1, 2800 do times[k] = k * 1000 + 900000 end
    times = table.concat(times, ",")
    for i = 1, 50 do
      local values = {}
      for k = 1, 2800 do values[k] = k * i end
      lines[i] = ('{"metric":{"__name__":"load","host":"%d"},"values":[%s],"timestamps":[%s]}\n')
        :format(i, table.concat(values, ","), times)
    end
    assert.equal(204, tide:request("POST", "/api/v1/import", table.concat(lines)).status)
  end)
  teardown(function()
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)

  -- 10,801 steps; 20 MiB are 1.3 million samples. An answer of half a million is much larger
  -- than what the system keeps for a connection.
  local TIMES_4 = "&start=1000&end=3700&step=0.25"
  local function range_4(query) return "/api/v1/query_range?query=" .. escape(query) .. TIMES_4 end
  local SOME = range_4('load{host!="50"}')

  it("refuses who would hold too much, and is free again", function()
    for _ = 1, 2 do
      assert.equal(200, tide:request("HEAD", SOME).status)
      assert.equal(200, tide:request("GET", range_4("sum(load)")).status)
      local answer = tide:request("GET",
        range_4("sort(load) or sort(load * 2) or sort(load * 3)"))
      assert.equal(503, answer.status, answer.body)
      assert.equal("unavailable", json.decode(answer.body).errorType)
      assert.equal("1", answer.headers["retry-after"])
    end
  end)

  it("counts answers that are not read", function()
    local lazy = {}
    for i = 1, 2 do
      lazy[i] = tide:connect(20)
      lazy[i].tcp:setoption("recv-buffer-size", 4096)
      lazy[i]:send("GET " .. SOME .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.truthy(lazy[i]:line())
    end
    assert.equal(503, tide:request("HEAD", SOME).status)
    process.wait_for("the end of those who do not read", 20, function()
      return tide:request("HEAD", SOME).status == 200
    end)
    for i = 1, 2 do lazy[i]:close() end
  end)
end)
