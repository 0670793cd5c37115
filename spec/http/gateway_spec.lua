-- The paths of a Pushgateway, and Graphite's lines: what is stored, and what ends.
local json = require "cjson"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local server = require "spec.support.server"
local socket = require "socket"

local bytes, number = protobuf.bytes, protobuf.number

local escape = server.escape

describe("a Pushgateway's path", function()
  local tidemark, folder

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function send(method, path, body, headers)
    return tidemark:request(method, path, body, headers)
  end
  local function ask(query) return tidemark:values(query) end
  local function values_of(job)
    return ask(('{job="%s",__name__!~"push_.*"}'):format(job))
  end
  local function wait_until(job, expected)
    process.wait_for("the series of " .. job, 10, function()
      local got = {}
      for name in pairs(values_of(job)) do got[#got + 1] = name end
      table.sort(got)
      return table.concat(got, " ") == expected
    end)
  end

  it("gives the group's labels to what is pushed, over its own", function()
    local answer = send("POST", "/metrics/job/backup/host/a", 'x{host="mine",job="own",a="b"} 1\n')
    assert.equal(200, answer.status)
    assert.equal("", answer.body)
    assert.same({ ['x{a="b",host="a",job="backup"}'] = "1" }, values_of("backup"))
    local times = ask('push_time_seconds{job="backup"}')
    assert.is_true(math.abs(times['push_time_seconds{host="a",job="backup"}'] - os.time()) < 60)
    assert.same({ ['push_failure_time_seconds{host="a",job="backup"}'] = "0" },
      ask('push_failure_time_seconds{job="backup"}'))
  end)

  it("reads base64 in the path, and is found at VictoriaMetrics' place too", function()
    assert.equal(200, send("PUT", "/metrics/job@base64/Yi9j/path@base64/L3Zhci90bXA",
      "y 2\n").status)
    assert.same({ ['y{job="b/c",path="/var/tmp"}'] = "2" }, values_of("b/c"))
    assert.equal(200, send("POST", "/api/v1/import/prometheus/metrics/job/vm", "z 3\n").status)
    assert.same({ ['z{job="vm"}'] = "3" }, values_of("vm"))
  end)

  it("takes protobuf, as Go's clients push it", function()
    local family = bytes(1, "go") .. number(3, 1) .. bytes(4,
      bytes(1, bytes(1, "job") .. bytes(2, "x")) .. bytes(2, protobuf.double(1, 2.5)))
    local answer = send("PUT", "/metrics/job/gopher", string.char(#family) .. family, {
      ["Content-Type"] = "application/vnd.google.protobuf; " ..
      "proto=io.prometheus.client.MetricFamily; encoding=delimited" })
    assert.equal(200, answer.status, answer.body)
    assert.same({ ['go{job="gopher"}'] = "2.5" }, values_of("gopher"))
  end)

  it("replaces by POST only what has the same name, by PUT all, by DELETE ends all", function()
    local path = "/metrics/job/life"
    send("POST", path, 'a{k="1"} 1\na{k="2"} 1\nb 1\n')
    wait_until("life", 'a{job="life",k="1"} a{job="life",k="2"} b{job="life"}')
    send("POST", path, 'a{k="1"} 2\n')
    wait_until("life", 'a{job="life",k="1"} b{job="life"}')
    send("PUT", path, "c 1\n")
    wait_until("life", 'c{job="life"}')
    send("POST", "/metrics/job/life/instance/i", "d 1\n")
    assert.equal(202, send("DELETE", path).status)
    wait_until("life", 'd{instance="i",job="life"}')
    assert.same({}, ask('push_time_seconds{job="life",instance=""}'))
    assert.equal(202, send("DELETE", path).status)
    assert.equal(202, send("DELETE", "/metrics/job/never").status)
    assert.equal(200, send("PUT", "/metrics/job/life/instance/i", "").status)
    wait_until("life", "")
    assert.truthy(next(ask('push_time_seconds{job="life",instance="i"}')))
  end)

  it("keeps the good lines, says what was bad, and notes the failure", function()
    send("PUT", "/metrics/job/part", "before 1\n")
    local answer = send("PUT", "/metrics/job/part", "good 1\nbad\n")
    assert.equal(400, answer.status)
    assert.truthy(answer.headers["content-type"]:find("text/plain"))
    assert.truthy(answer.body:find("line 2: "), answer.body)
    wait_until("part", 'before{job="part"} good{job="part"}')
    local failed = ask('push_failure_time_seconds{job="part"}')
    assert.is_true(tonumber(failed['push_failure_time_seconds{job="part"}']) > 1e9)
  end)

  it("refuses paths that name no group", function()
    for _, path in ipairs { "/metrics/job", "/metrics/job/", "/metrics/job/a/b",
      "/metrics/instance/a", "/metrics/job/a/__name__/b", "/metrics/job/a/x@base64/*" } do
      local answer = send("POST", path, "a 1\n")
      assert.equal(400, answer.status, path)
      assert.truthy(answer.headers["content-type"]:find("text/plain"))
    end
    assert.equal(400, send("POST", "/metrics/job/a?ttl=0", "a 1\n").status)
    assert.equal(400, send("POST", "/metrics/job/a?ttl=x", "a 1\n").status)
  end)

  it("ends a group by itself when its time to live is over", function()
    assert.equal(200, send("POST", "/metrics/job/brief?ttl=300ms", "e 1\n").status)
    wait_until("brief", "")
    -- A push in the very millisecond of the end's marker would be its duplicate.
    local seen = socket.gettime()
    process.wait_for("a later time", 10, function() return socket.gettime() > seen + 0.002 end)
    assert.equal(200, send("POST", "/metrics/job/brief?ttl=1h", "e 1\n").status)
    wait_until("brief", 'e{job="brief"}')
  end)

  it("leaves no trace of its labels in pushes that follow without any", function()
    assert.equal(204, send("POST", "/api/v1/import/prometheus", 'x{host="mine",a="b"} 1\n').status)
    assert.same({ ['x{a="b",host="mine"}'] = "1" }, ask('x{job=""}'))
  end)
end)

describe("Graphite's port", function()
  local tidemark, folder, port

  setup(function()
    folder, port = process.folder(), process.free_port()
    tidemark = server.start(folder, "--set", "push.graphite_listen=127.0.0.1:" .. port)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function connect()
    local tcp = assert(socket.tcp())
    tcp:settimeout(10)
    assert(tcp:connect("127.0.0.1", port))
    return tcp
  end
  local function count(selector)
    local answer = tidemark:request("GET", "/api/v1/query?query=" ..
      escape(("sum(count_over_time(%s[1h]))"):format(selector)))
    local result = json.decode(answer.body).data.result
    return result[1] and tonumber(result[1].value[2]) or 0
  end
  local function metric(name)
    return tonumber(tidemark:request("GET", "/metrics").body:match("\n" .. name .. " (%d+)"))
  end

  it("takes lines that come in any parts, and goes on behind bad ones", function()
    local tcp, now = connect(), os.time()
    tcp:send("servers.a.cpu 1.5 " .. now .. "\nbad line here now\nservers.b")
    process.wait_for("the first line", 10, function()
      return count('{"servers.a.cpu"}') == 1
    end)
    tcp:send((".cpu;rack=1 2 %d\r\nlast 3"):format(now))
    tcp:close() -- the last line has no end
    process.wait_for("the last line", 10, function() return count("last") == 1 end)
    assert.equal(1, count('{"servers.b.cpu",rack="1"}'))
    assert.equal(1, metric('tidemark_push_samples_refused_total{reason="malformed"}'))
  end)

  it("takes many lines of many connections, and leaves out a line without end", function()
    local now = os.time()
    local clients = {}
    for c = 1, 5 do
      local lines = {}
      for i = 1, 2000 do
        lines[i] = ("many;c=%d;i=%d %d %d\n"):format(c, i % 100, i, now - 2000 + i)
      end
      clients[c] = connect()
      clients[c]:send(table.concat(lines))
    end
    local endless = connect()
    endless:send(("x"):rep(300000) .. " 1\nafter 1 " .. now .. "\n")
    process.wait_for("all lines", 20, function()
      return count("many") == 10000 and count("after") == 1
    end)
    for c = 1, 5 do clients[c]:close() end
    endless:close()
  end)
end)
