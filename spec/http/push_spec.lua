-- The push protocols over HTTP: what a sender gets back, and what is stored of a push that is good
-- in part.
local json = require "cjson"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"
local socket = require "socket"

local bytes, number, double = protobuf.bytes, protobuf.number, protobuf.double

describe("pushes", function()
  local tidemark, folder
  local now = os.time()

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder)
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function post(path, body, headers) return tidemark:request("POST", path, body, headers) end
  local function get(path) return json.decode(tidemark:request("GET", path).body) end
  -- A second ahead by the server's clock: os.time() reads a coarser one, which may be behind what
  -- just arrived.
  local function ask(query, time)
    return tidemark:values(query, time or socket.gettime() + 1)
  end

  describe("by remote write 2.0", function()
    local V2 = { ["Content-Encoding"] = "snappy",
      ["Content-Type"] = 'application/x-protobuf; proto="io.prometheus.write.v2.Request"' }

    local function message(names, ...)
      local out = bytes(4, "")
      for _, name in ipairs(names) do out = out .. bytes(4, name) end
      for _, series in ipairs { ... } do out = out .. bytes(5, series) end
      return remote_write.snappy(out)
    end
    local function sample(value, time)
      return bytes(2, double(1, value) .. number(2, (time or now) * 1000))
    end
    local function written(answer)
      return tonumber(answer.headers["x-prometheus-remote-write-samples-written"])
    end

    it("are stored, and the answer says how many samples were written", function()
      local answer = post("/api/v1/write", message({ "__name__", "rw2", "job", "a" },
        bytes(1, "\1\2\3\4") .. sample(4) .. bytes(4, number(1, 1)),
        bytes(1, "\1\2") .. sample(5)), V2)
      assert.equal(204, answer.status)
      assert.equal(2, written(answer))
      assert.equal("0", answer.headers["x-prometheus-remote-write-histograms-written"])
      assert.equal("0", answer.headers["x-prometheus-remote-write-exemplars-written"])
      assert.same({ ['rw2{job="a"}'] = "4", ["rw2{}"] = "5" }, ask("rw2"))
    end)

    it("keep the good series of a message and tell about the bad one", function()
      local answer = post("/api/v1/write", message({ "__name__", "rw2_part" },
        bytes(1, "\1\99") .. sample(1), bytes(1, "\1\2") .. sample(2)), V2)
      assert.equal(400, answer.status)
      assert.equal(1, written(answer))
      assert.truthy(json.decode(answer.body).error:find("symbol past the table", 1, true))
      assert.same({ ["rw2_part{}"] = "2" }, ask("rw2_part"))
    end)

    it("say that nothing was written of a body that is none", function()
      local answer = post("/api/v1/write", remote_write.snappy("\255\255"), V2)
      assert.equal(400, answer.status)
      assert.equal(0, written(answer))
    end)

    it("are told from 1.0 and from anything else by their Content-Type", function()
      local body = remote_write.body { { labels = { __name__ = "rw1" }, { now * 1000, 1 } } }
      local function status(content_type, coding)
        return post("/api/v1/write", body, { ["Content-Type"] = content_type,
          ["Content-Encoding"] = coding or "snappy" }).status
      end
      assert.equal(204, status("application/x-protobuf"))
      assert.equal(204, status("Application/X-Protobuf;proto=prometheus.WriteRequest"))
      assert.equal(204, status(nil))
      assert.equal(415, status("application/x-protobuf;proto=io.prometheus.write.v3.Request"))
      assert.equal(415, status("application/json"))
      assert.equal(415, status("application/x-protobuf", "zstd"))
    end)
  end)

  describe("by text", function()
    it("take extra labels and a time from the URL", function()
      local answer = post(("/api/v1/import/prometheus?extra_label=site%%3Dx&timestamp=%d" ..
        "&extra_label=a%%3Db%%3Dc"):format((now - 60) * 1000), 'timed{a="1"} 7\n')
      assert.equal(204, answer.status)
      assert.same({ ['timed{a="b=c",site="x"}'] = "7" }, ask("timed", now - 60))
      assert.same({}, ask("timed", now - 61))
      assert.equal(400, post("/api/v1/import/prometheus?extra_label=x", "a 1\n").status)
      assert.equal(400, post("/api/v1/import/prometheus?timestamp=x", "a 1\n").status)
    end)

    it("are not read as a form, whatever curl says they are", function()
      assert.equal(204, post("/api/v1/import/prometheus", 'formed{a="%zz&"} 1\n',
        { ["Content-Type"] = "application/x-www-form-urlencoded" }).status)
      assert.same({ ['formed{a="%zz&"}'] = "1" }, ask("formed"))
    end)

    it("are OpenMetrics by their Content-Type, of version 1 only", function()
      local function push(body, version)
        return post("/api/v1/import/prometheus", body,
          { ["Content-Type"] = "application/openmetrics-text; version=" .. version }).status
      end
      assert.equal(204, push(("# TYPE om counter\nom_total 3 %d.5\n# EOF\n"):format(now), "1.0.0"))
      assert.same({ ["om_total{}"] = "3" }, ask("om_total"))
      assert.equal(415, push("om_total 3\n# EOF\n", "2.0.0"))
    end)
  end)

  describe("by Influx lines", function()
    it("are stored with the database as a label", function()
      local answer = post("/write?db=telegraf&precision=s", ("cpu,host=a usage=1.5,value=2i %d\n" ..
        "mem,db=own free=3 %d\n"):format(now, now))
      assert.equal(204, answer.status)
      assert.equal("", answer.body)
      assert.truthy(answer.headers["x-influxdb-version"])
      assert.same({ ['cpu_usage{db="telegraf",host="a"}'] = "1.5",
        ['cpu{db="telegraf",host="a"}'] = "2", ['mem_free{db="own"}'] = "3" },
        ask('{__name__=~"cpu.*|mem.*"}'))
    end)

    it("keep the good lines and name the bad ones, as version 1 does", function()
      local answer = post("/influx/write", "good v=1\nbad\nbad v=\n")
      assert.equal(400, answer.status)
      local text = json.decode(answer.body).error
      assert.truthy(text:match("^partial write: line 2: .*\nline 3: .* dropped=2$"), text)
      assert.truthy(answer.headers["x-influxdb-error"])
      assert.same({ ["good_v{}"] = "1" }, ask("good_v"))
    end)

    it("are answered as version 2 does", function()
      assert.equal(204, post("/api/v2/write?org=o&bucket=b&precision=ms",
        ("two v=1 %d\n"):format(now * 1000)).status)
      assert.same({ ['two_v{db="b"}'] = "1" }, ask("two_v"))
      local answer = post("/api/v2/write?bucket=b&precision=ms", "two\n")
      assert.equal(400, answer.status)
      assert.equal("invalid", json.decode(answer.body).code)
      -- Older than storage.out_of_order allows: the store's refusal, not the format's.
      answer = post("/api/v2/write?bucket=b&precision=ms",
        ("two v=9 %d\n"):format((now - 7200) * 1000))
      assert.equal(422, answer.status)
      assert.equal("unprocessable entity", json.decode(answer.body).code)
      assert.equal(400, post("/api/v2/write?precision=x", "two v=1\n").status)
    end)

    it("come gzipped from Telegraf, which first asks for its database", function()
      local answer = post("/query", "q=CREATE%20DATABASE%20%22telegraf%22",
        { ["Content-Type"] = "application/x-www-form-urlencoded" })
      assert.equal(200, answer.status)
      assert.same({ results = { { statement_id = 0 } } }, json.decode(answer.body))
      answer = tidemark:request("GET", "/query?q=create+database+a%3B+show+databases")
      assert.equal("databases", json.decode(answer.body).results[2].series[1].name)
      answer = tidemark:request("GET", "/query?q=SELECT+1")
      assert.equal(400, answer.status)
      assert.truthy(json.decode(answer.body).error:find("PromQL"))
      assert.equal(204, tidemark:request("GET", "/ping").status)
      assert.equal(204, tidemark:request("HEAD", "/ping").status)
      assert.truthy(get("/ping?verbose=true").version)
    end)
  end)

  describe("by OTLP", function()
    local TYPE = { ["Content-Type"] = "application/x-protobuf" }

    local function request(...)
      local metrics = ""
      for _, metric in ipairs { ... } do metrics = metrics .. bytes(2, metric) end
      return bytes(1, bytes(2, metrics))
    end
    local function gauge(name, value, time)
      return bytes(1, name) .. bytes(5, bytes(1,
        protobuf.fixed(3, (time or now) * 1e9) .. double(4, value)))
    end

    it("are stored; an empty message is the answer", function()
      for _, path in ipairs { "/v1/metrics", "/opentelemetry/v1/metrics",
        "/api/v1/otlp/v1/metrics" } do
        local name = "otlp" .. path:gsub("%W", "_")
        local answer = post(path, request(gauge(name, 1.5)), TYPE)
        assert.equal(200, answer.status)
        assert.equal("", answer.body)
        assert.equal("application/x-protobuf", answer.headers["content-type"])
        assert.equal("1.5", (select(2, next(ask((name:gsub("_+", "_")))))))
      end
    end)

    it("say how many points were rejected while the others stay", function()
      local delta = bytes(1, "delta") .. bytes(7,
        number(2, 1) .. bytes(1, protobuf.fixed(3, now * 1e9) .. double(4, 1)))
      local answer = post("/v1/metrics", request(delta, gauge("beside", 2)), TYPE)
      assert.equal(200, answer.status)
      local partial = protobuf.read(protobuf.read(answer.body)[1][1])
      assert.equal(1, partial[1][1])
      assert.truthy(partial[2][1]:find("delta"))
      assert.same({ ["beside{}"] = "2" }, ask("beside"))
    end)

    it("fail with a google.rpc.Status", function()
      local answer = post("/v1/metrics", "\255\255\255", TYPE)
      assert.equal(400, answer.status)
      local status = protobuf.read(answer.body)
      assert.equal(3, status[1][1])
      assert.truthy(#status[2][1] > 0)
      answer = post("/v1/metrics", "x", { ["Content-Type"] = "text/plain" })
      assert.equal(415, answer.status)
      assert.equal(12, protobuf.read(answer.body)[1][1])
    end)

    describe("in JSON", function()
      local JSON = { ["Content-Type"] = "application/json; charset=utf-8" }

      local function gauges(list)
        local metrics = {}
        for i, one in ipairs(list) do
          metrics[i] = { name = one[1], gauge = { dataPoints = { { asDouble = one[2],
            timeUnixNano = ("%d000000000"):format(one[3] or now) } } } }
        end
        return json.encode { resourceMetrics = { { scopeMetrics = { { metrics = metrics } } } } }
      end

      it("are stored; an empty object is the answer", function()
        local answer = post("/v1/metrics", gauges { { "otlp.json", 2.5 } }, JSON)
        assert.same({ 200, "{}", "application/json" },
          { answer.status, answer.body, answer.headers["content-type"] })
        assert.same({ ["otlp_json{}"] = "2.5" }, ask("otlp_json"))
        assert.equal("{}", post("/v1/metrics", "{}", JSON).body)
      end)

      it("say how many points were rejected while the others stay", function()
        local answer = post("/v1/metrics",
          gauges { { "json_ahead", 1, now + 86400 }, { "json_beside", 2 } }, JSON)
        assert.equal(200, answer.status)
        local partial = json.decode(answer.body).partialSuccess
        assert.equal("1", partial.rejectedDataPoints)
        assert.truthy(partial.errorMessage:find("future"), partial.errorMessage)
        assert.same({ ["json_beside{}"] = "2" }, ask("json_beside"))
      end)

      it("fail with a google.rpc.Status", function()
        for body, message in pairs {
          ["["] = "not an OTLP metrics request: not a JSON object",
          ['{"resourceMetrics":5}'] =
            'not an OTLP metrics request: "resourceMetrics" is not an object',
        } do
          local answer = post("/v1/metrics", body, JSON)
          assert.equal(400, answer.status)
          assert.equal("application/json", answer.headers["content-type"])
          assert.same({ code = 3, message = message }, json.decode(answer.body))
        end
      end)
    end)
  end)

  it("count what is understood but not stored", function()
    local page = tidemark:request("GET", "/metrics").body
    assert.truthy(page:find('tidemark_push_skipped_total{kind="exemplar"} 1', 1, true))
  end)
end)
