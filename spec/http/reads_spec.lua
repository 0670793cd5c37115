-- Reading what is stored by the other protocols: export, federation, remote read, status.
local ffi = require "ffi"
local json = require "cjson"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"
local tide = require "spec.support.tide"
local C = tide.load("wire/snappy_block.h", "base/buf.h", "base/crc32c.h")

local bytes, number = protobuf.bytes, protobuf.number
local sanitized = os.getenv("SANITIZER") ~= nil
local STALE = "7ff0000000000002"

local escape = server.escape

local function unsnappy(block)
  local buf, err = ffi.new("struct buf"), tide.error()
  assert(C.snappy_block_decode(block, #block, 1e9, buf, err) == 0, tide.text(err))
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

local function gunzip(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  local pipe = io.popen("gzip -dc " .. name)
  local out = pipe:read("*a")
  pipe:close()
  os.remove(name)
  return out
end

local function lines_of(text)
  local out = {}
  for line in text:gmatch("[^\n]+") do out[#out + 1] = line end
  return out
end

describe("reading", function()
  local tidemark, folder
  local now = os.time()
  local base = (now - 600) * 1000

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder)
    local series = {
      { labels = { __name__ = "up", job = "a" } }, { labels = { __name__ = "up", job = "b" } },
      { labels = { __name__ = "odd name", job = "a", ["l.x"] = 'q"\n' } },
      { labels = { __name__ = "gone", job = "a" }, { base, 1 }, { base + 590000, STALE } },
      { labels = { __name__ = "old", job = "a" }, { base, 7 } },
    }
    for i = 0, 59 do
      series[1][i + 1] = { base + i * 10000, i }
      series[2][i + 1] = { base + i * 10000, i + 0.5 }
    end
    series[3][1] = { base + 590000, 1 / 0 }
    remote_write.push("http://" .. tidemark.address .. "/api/v1/write", series)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function get(path, headers) return tidemark:request("GET", path, nil, headers) end
  local function data(path) return json.decode(get(path).body).data end

  describe("by export", function()
    it("gives JSON lines in order of labels, within the times", function()
      local answer = get(("/api/v1/export?match[]=up&match[]=old&start=%d&end=%d"):format(
        now - 600, now - 580))
      assert.equal(200, answer.status)
      assert.same({
        ('{"metric":{"__name__":"old","job":"a"},"values":[7],"timestamps":[%d]}'):format(base),
        ('{"metric":{"__name__":"up","job":"a"},"values":[0,1,2],"timestamps":[%d,%d,%d]}')
          :format(base, base + 10000, base + 20000),
        ('{"metric":{"__name__":"up","job":"b"},"values":[0.5,1.5,2.5],"timestamps":[%d,%d,%d]}')
          :format(base, base + 10000, base + 20000),
      }, lines_of(answer.body))
    end)

    it("cuts lines, compresses, and leaves staleness markers out unless they are wanted", function()
      local answer = get('/api/v1/export?match[]=up{job="a"}&max_rows_per_line=25',
        { ["Accept-Encoding"] = "gzip" })
      assert.equal("gzip", answer.headers["content-encoding"])
      local lines = lines_of(gunzip(answer.body))
      assert.equal(3, #lines)
      assert.equal(25, #json.decode(lines[1]).values)
      assert.equal(10, #json.decode(lines[3]).values)
      assert.truthy(get("/api/v1/export?match[]=gone").body:find('"values":[1]', 1, true))
      assert.truthy(get("/api/v1/export?match[]=gone&stale_markers=1").body:find(
        '"values":[1,"StaleNaN"]', 1, true))
    end)

    it("can be imported elsewhere, and is the same there to the byte", function()
      local other = server.start()
      finally(function()
        other:stop()
        process.remove(other.folder)
      end)
      local path = "/api/v1/export?stale_markers=1&match[]=" .. escape('{__name__=~".+"}')
      local exported = get(path).body
      assert.equal(5, #lines_of(exported))
      assert.equal(204, other:request("POST", "/api/v1/import", exported).status)
      assert.equal(exported, other:request("GET", path).body)
    end)

    it("refuses what is no selection", function()
      assert.equal(400, get("/api/v1/export").status)
      assert.equal(400, get("/api/v1/export?match[]=up%7B").status)
      assert.equal(400, get("/api/v1/export?match[]=rate(up[5m])").status)
      assert.equal(400, get("/api/v1/export?match[]=up&start=x").status)
    end)

    it("streams any amount in little memory, however slow the reader is", function()
      local part, expected = {}, 0
      for s = 1, 100 do
        local values, times = {}, {}
        for i = 1, 5000 do
          values[i], times[i] = i * 1.25, base - 500000 + i * 100
        end
        expected = expected + 5000
        part[s] = ('{"metric":{"__name__":"bulk","s":"%d"},"values":[%s],"timestamps":[%s]}\n')
          :format(s, table.concat(values, ","), table.concat(times, ","))
      end
      assert.equal(204, tidemark:request("POST", "/api/v1/import", table.concat(part)).status)
      local _, before = tidemark.process:usage()
      local got, count = get("/api/v1/export?match[]=bulk"), 0
      for _, line in ipairs(lines_of(got.body)) do count = count + #json.decode(line).values end
      assert.equal(expected, count)
      local _, after = tidemark.process:usage()
      assert.is_true(#got.body > 8e6)
      if not sanitized then assert.is_true(after - before < 6e6, after - before) end
    end)
  end)

  describe("by federation", function()
    local path = "/federate?match[]=" .. escape('{job=~"a|b",__name__!="bulk"}')

    it("gives the newest sample of what is alive, with its time", function()
      local answer = get(path)
      assert.equal("text/plain; version=0.0.4; charset=utf-8", answer.headers["content-type"])
      assert.same({
        '# TYPE "odd name" untyped',
        ('{"odd name",job="a","l.x"="q\\"\\n"} +Inf %d'):format(base + 590000),
        "# TYPE up untyped",
        ('up{job="a"} 59 %d'):format(base + 590000),
        ('up{job="b"} 59.5 %d'):format(base + 590000),
      }, lines_of(answer.body))
    end)

    it("is OpenMetrics for whom prefers it", function()
      local answer = get(path, { Accept = "application/openmetrics-text;version=1.0.0," ..
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1" })
      assert.truthy(answer.headers["content-type"]:find("openmetrics"))
      assert.equal("# EOF", lines_of(answer.body)[6])
      assert.truthy(answer.body:find(('up{job="b"} 59.5 %d\n'):format(now - 10), 1, true))
      answer = get(path, { Accept = "application/openmetrics-text;q=0.3, text/plain" })
      assert.truthy(answer.headers["content-type"]:find("0.0.4"))
    end)

    it("refuses to guess what is wanted", function()
      assert.equal(400, get("/federate").status)
    end)
  end)

  describe("by remote read", function()
    local function query(from, to, ...)
      local out = number(1, from) .. number(2, to)
      for _, matcher in ipairs { ... } do
        out = out .. bytes(3, number(1, matcher[1]) .. bytes(2, matcher[2]) ..
          bytes(3, matcher[3]))
      end
      return bytes(1, out)
    end
    local function read(message)
      return tidemark:request("POST", "/api/v1/read", remote_write.snappy(message), {
        ["Content-Encoding"] = "snappy", ["Content-Type"] = "application/x-protobuf",
        ["Accept-Encoding"] = "snappy, gzip", ["X-Prometheus-Remote-Read-Version"] = "0.1.0" })
    end
    local UP = query(base, base + 20000, { 0, "__name__", "up" }, { 2, "job", "a|c" })
    local BOTH = query(base, base + 590000, { 0, "__name__", "up" }, { 1, "job", "" })

    it("gives samples, query by query", function()
      local answer = read(UP .. query(0, 1, { 0, "__name__", "up" }) .. BOTH)
      assert.equal(200, answer.status)
      assert.equal("snappy", answer.headers["content-encoding"])
      assert.equal("application/x-protobuf", answer.headers["content-type"])
      local results = protobuf.read(unsnappy(answer.body))[1]
      assert.equal(3, #results)
      assert.equal("", results[2])
      local series = protobuf.read(results[1])[1]
      assert.equal(1, #series)
      local one = protobuf.read(series[1])
      assert.equal("__name__", protobuf.read(one[1][1])[1][1])
      assert.equal("a", protobuf.read(one[1][2])[2][1])
      assert.equal(3, #one[2])
      assert.equal(base + 10000, protobuf.read(one[2][2])[2][1])
      series = protobuf.read(results[3])[1]
      assert.equal(2, #series)
      assert.equal(60, #protobuf.read(series[2])[2])
    end)

    it("streams chunks in checked frames to whom takes them", function()
      local answer = read(UP .. BOTH .. number(2, 1) .. number(2, 0))
      assert.equal("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
        answer.headers["content-type"])
      assert.is_nil(answer.headers["content-encoding"])
      local at, seen = 1, {}
      while at <= #answer.body do
        local len, factor = 0, 1
        repeat
          local byte = answer.body:byte(at)
          len, factor, at = len + byte % 128 * factor, factor * 128, at + 1
        until byte < 128
        local sum = 0
        for i = at, at + 3 do sum = sum * 256 + answer.body:byte(i) end
        local payload = answer.body:sub(at + 4, at + 3 + len)
        assert.equal(len, #payload)
        assert.equal(sum, tonumber(C.crc32c(0, payload, #payload)))
        at = at + 4 + len
        local frame = protobuf.read(payload)
        local series = protobuf.read(frame[1][1])
        local count = 0
        for _, chunk in ipairs(series[2]) do
          local fields = protobuf.read(chunk)
          assert.equal(1, fields[3][1])
          count = count + fields[4][1]:byte(1) * 256 + fields[4][1]:byte(2)
        end
        seen[#seen + 1] = { frame[2] and frame[2][1] or 0,
          protobuf.read(series[1][2])[2][1], count }
      end
      assert.same({ { 0, "a", 3 }, { 1, "a", 60 }, { 1, "b", 60 } }, seen)
    end)

    it("refuses what it cannot read or give", function()
      assert.equal(400, read("\255").status)
      assert.equal(400, read(UP .. number(2, 9)).status)
      assert.equal(400, read(query(0, 1, { 2, "job", "(" })).status)
      local few = server.start(nil, "--set", "query.max_samples=100")
      finally(function()
        few:stop()
        process.remove(few.folder)
      end)
      few:request("POST", "/api/v1/import", get("/api/v1/export?match[]=up").body)
      local answer = few:request("POST", "/api/v1/read", remote_write.snappy(BOTH),
        { ["Content-Encoding"] = "snappy" })
      assert.equal(400, answer.status)
      assert.truthy(answer.body:find("exceeded sample limit (100)", 1, true))
    end)
  end)

  describe("about the server", function()
    it("has the types, helps and units that pushes told", function()
      assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus",
        "# HELP told_total How \"often\".\n# TYPE told_total counter\ntold_total 1\n" ..
        "# TYPE other gauge\nother 1\n").status)
      assert.same({ told_total = { { type = "counter", help = 'How "often".', unit = "" } },
        other = { { type = "gauge", help = "", unit = "" } } }, data("/api/v1/metadata"))
      assert.same({ "other" }, { next(data("/api/v1/metadata?limit=1")) and
        next(data("/api/v1/metadata?limit=1")) })
      assert.is_nil(data("/api/v1/metadata?metric=told_total").other)
      assert.equal("{}", get("/api/v1/metadata?metric=never").body:match('"data":(.*)}$'))
    end)

    it("counts the largest cardinalities", function()
      local told = data("/api/v1/status/tsdb?limit=2")
      assert.is_true(told.headStats.numSeries >= 7)
      assert.equal(2, #told.seriesCountByMetricName)
      assert.same({ name = "bulk", value = 100 }, told.seriesCountByMetricName[1])
      assert.same({ name = "s", value = 100 }, told.labelValueCountByLabelName[1])
      assert.same({ name = "__name__=bulk", value = 100 }, told.seriesCountByLabelValuePair[1])
      assert.is_true(told.memoryInBytesByLabelName[1].value > 100)
      assert.equal(400, get("/api/v1/status/tsdb?limit=0").status)
      assert.equal(400, get("/api/v1/status/tsdb?limit=10001").status)
    end)

    it("says what it is and how it was set", function()
      local info = data("/api/v1/status/runtimeinfo")
      assert.equal("1296000s", info.storageRetention)
      assert.truthy(info.startTime:match("^%d+-%d+-%d+T%d+:%d+:%d+Z$"))
      assert.equal("300s", data("/api/v1/status/flags")["query.lookback-delta"])
      assert.equal("done", data("/api/v1/status/walreplay").state)
      local text = data("/api/v1/status/config").yaml
      assert.truthy(loadstring(text))
      assert.equal("15d", loadstring(text)().storage.retention)
    end)

    it("has nothing to say of targets, rules and exemplars, in their forms", function()
      local EMPTY = {
        query_exemplars = "[]", rules = '{"groups":[]}', alerts = '{"alerts":[]}',
        targets = '{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}',
        ["targets/metadata"] = "[]", scrape_pools = '{"scrapePools":[]}', notifications = "[]",
        alertmanagers = '{"activeAlertmanagers":[],"droppedAlertmanagers":[]}', features = "{}",
      }
      for name, expected in pairs(EMPTY) do
        local answer = get("/api/v1/" .. name .. "?query=up&start=0&end=1")
        assert.equal(200, answer.status, name)
        assert.equal('{"status":"success","data":' .. expected .. "}", answer.body)
      end
      -- What Grafana takes for "there is no ruler".
      local answer = get("/api/v1/rules/test/test")
      assert.equal(404, answer.status)
      assert.truthy(answer.body:find("page not found"))
    end)
  end)
end)
