-- The main job over HTTP: push, ask, restart, ask again.
local json = require "cjson"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"
local tide = require "spec.support.tide"

local escape = server.escape

describe("the API", function()
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

  local function get(path)
    local answer = tidemark:request("GET", path)
    return json.decode(answer.body), answer.status
  end
  local function ask(query, time)
    return get("/api/v1/query?query=" .. escape(query) .. "&time=" .. (time or now)).data
  end

  it("takes remote write 1.0 and answers what was written", function()
    remote_write.push("http://" .. tidemark.address .. "/api/v1/write", {
      { labels = { __name__ = "up", job = "api" }, { (now - 10) * 1000, 1 }, { now * 1000, 0.5 } },
      { labels = { __name__ = "up", job = "web" }, { now * 1000, 3 } },
    })
    local vector = ask('up{job="api"}')
    assert.equal("vector", vector.resultType)
    assert.same({ { metric = { __name__ = "up", job = "api" }, value = { now, "0.5" } } },
      vector.result)
    assert.same({ { now - 10, "1" }, { now, "0.5" } }, ask('up{job="api"}[1m]').result[1].values)
  end)

  it("takes the vector of the protocol's document at the alias below /prometheus", function()
    -- http-protocols 20: up{job="api"} 1 at 1700000000000, as a snappy block.
    local block = tide.unhex("30bc0a2e0a0e0a085f5f6e616d655f5f120275700a0a0a036a6f62120361706912" ..
      "1009000000000000f03f1080d095ffbc31")
    block = block:gsub("job", "jab") -- a series of its own: the one above is newer
    local answer = tidemark:request("POST", "/prometheus/api/v1/push", block,
      { ["Content-Encoding"] = "snappy", ["Content-Type"] = "application/x-protobuf" })
    assert.equal(204, answer.status)
    assert.same({ { metric = { __name__ = "up", jab = "api" }, value = { 1700000000, "1" } } },
      ask('up{jab="api"}', 1700000000).result)
  end)

  it("takes text, and says which lines were bad while keeping the others", function()
    local answer = tidemark:request("POST", "/api/v1/import/prometheus",
      'temperature{room="kitchen"} 21.5\nthis is no sample\ntemperature{room="bath"} 24\n')
    assert.equal(400, answer.status)
    local told = json.decode(answer.body)
    assert.same({ "error", 2, 1, 2 },
      { told.status, told.written, told.refused, told.examples[1].line })
    assert.equal(2, #ask("temperature", now + 5).result)
  end)

  it("refuses samples of the far future with their reason", function()
    local answer = tidemark:request("POST", "/api/v1/import/prometheus",
      ("later 1 %d\n"):format((now + 3600) * 1000))
    assert.equal(400, answer.status)
    assert.equal(0, json.decode(answer.body).written)
    assert.equal(0, #ask("later", now + 3600).result)
  end)

  it("refuses remote write that is no snappy", function()
    local function push(body, headers)
      return tidemark:request("POST", "/api/v1/write", body, headers).status
    end
    assert.equal(400, push("hello", { ["Content-Encoding"] = "snappy" }))
    assert.equal(415, push("hello"))
    assert.equal(204, push("\0", { ["Content-Encoding"] = "snappy" })) -- a probe
  end)

  it("evaluates ranges, by GET and by form", function()
    local form = ("query=up%%7Bjob%%3D%%22api%%22%%7D&start=%d&end=%d&step=10s")
      :format(now - 10, now)
    local by_get = get("/api/v1/query_range?" .. form).data
    assert.same({ { now - 10, "1" }, { now, "0.5" } }, by_get.result[1].values)
    local by_form = tidemark:request("POST", "/api/v1/query_range", form,
      { ["Content-Type"] = "application/x-www-form-urlencoded" })
    assert.same(by_get, json.decode(by_form.body).data)
  end)

  it("answers what Grafana asks at first", function()
    local answer = tidemark:request("POST", "/api/v1/query", "query=1%2B1&time=4",
      { ["Content-Type"] = "application/x-www-form-urlencoded" })
    assert.equal('{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}',
      answer.body)
    assert.truthy(get("/api/v1/status/buildinfo").data.version:match("^2%.%d%d%."))
  end)

  it("lists series, labels and values", function()
    local series = get("/api/v1/series?match[]=up&match%5B%5D=%7Bjob%3D%22api%22%7D").data
    assert.equal(3, #series)
    assert.same({ "__name__", "jab", "job", "room" }, get("/api/v1/labels").data)
    assert.same({ "api", "web" }, get("/api/v1/label/job/values").data)
    assert.same({ "bath", "kitchen" }, get("/api/v1/label/U__room/values").data)
    local cut = get("/api/v1/series?match[]=up&limit=1")
    assert.equal(1, #cut.data)
    assert.same({ "results truncated due to limit" }, cut.warnings)
  end)

  it("says what is wrong with a question", function()
    for path, expected in pairs {
      ["query?query="] = { 400, "bad_data" },
      ["query?query=up%7B"] = { 400, "bad_data" },
      ["query?query=up&time=soon"] = { 400, "bad_data" },
      ["query?query=up&limit=-1"] = { 400, "bad_data" },
      ["query_range?query=up&start=10&end=5&step=1"] = { 400, "bad_data" },
      ["query_range?query=up&start=0&end=5&step=0"] = { 400, "bad_data" },
      ["query_range?query=up&start=0&end=50000&step=1"] = { 400, "bad_data" },
      ["query_range?query=up&end=5&step=1"] = { 400, "bad_data" },
      ["series"] = { 400, "bad_data" },
      ["series?match[]=rate(up[5m])"] = { 400, "bad_data" },
      ["query?query=%zz"] = { 400, "bad_data" },
    } do
      local told, status = get("/api/v1/" .. path)
      assert.same({ path, expected[1], "error", expected[2] },
        { path, status, told.status, told.errorType })
    end
  end)

  it("keeps all of it over a restart", function()
    local before = tidemark:request("GET", "/api/v1/query?query=up%5B1h%5D&time=" .. now).body
    assert.equal(0, tidemark:stop())
    tidemark = server.start(folder)
    local after = tidemark:request("GET", "/api/v1/query?query=up%5B1h%5D&time=" .. now).body
    assert.same(json.decode(before), json.decode(after))
    assert.truthy(before:find('"0.5"', 1, true))
  end)
end)
