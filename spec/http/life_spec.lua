-- The main job, end to end, on a real server: push, ask, restart, ask again; refusals at start.
local cjson = require "cjson"
local http = require "socket.http"
local ltn12 = require "ltn12"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local url = require "socket.url"

local build = os.getenv("BUILD") or "build"

describe("the server", function()
  local folder, server, port

  local function start(...)
    server = process.start({ build .. "/tidemark", "serve", "--data", folder .. "/data", "--listen",
      "127.0.0.1:" .. port, ... }, folder .. "/log")
    process.wait_for("the server", 60, function()
      return select(2, http.request(("http://127.0.0.1:%d/-/ready"):format(port))) == 200
    end)
  end

  local function get(path)
    local body, status = http.request(("http://127.0.0.1:%d%s"):format(port, path))
    return status, body
  end

  local function query(expression, time)
    local status, body = get(("/api/v1/query?query=%s%s"):format(url.escape(expression),
      time and "&time=" .. time or ""))
    assert.equal(200, status, body)
    return cjson.decode(body).data
  end

  local function post(path, body)
    local answer = {}
    local _, status = http.request {
      url = ("http://127.0.0.1:%d%s"):format(port, path),
      method = "POST",
      source = ltn12.source.string(body),
      sink = ltn12.sink.table(answer),
      headers = { ["Content-Length"] = #body },
    }
    return status, table.concat(answer)
  end

  before_each(function()
    folder = process.folder()
    port = process.free_port()
  end)

  after_each(function()
    if server then server:kill() end
    process.remove(folder)
  end)

  it("keeps what was pushed over a clean stop", function()
    start()
    local now = os.time()
    assert.equal(204, (post("/api/v1/import/prometheus", 'a{x="1"} 1.5\na{x="2"} -0\nb 3e100\n')))
    remote_write.push(("http://127.0.0.1:%d/api/v1/write"):format(port), {
      { labels = { __name__ = "c", y = "ü\n\"" }, { (now - 20) * 1000, 1 },
        { (now - 10) * 1000, 2 } },
    })
    local function check()
      assert.equal("1.5", query('a{x="1"}').result[1].value[2])
      assert.equal("-0", query('a{x="2"}').result[1].value[2])
      assert.equal("3e+100", query("b").result[1].value[2])
      local c = query("c[1m]", now).result[1]
      assert.equal("ü\n\"", c.metric.y)
      assert.same({ { now - 20, "1" }, { now - 10, "2" } }, c.values)
    end
    check()
    assert.equal(0, server:stop())
    assert.is_nil(io.open(folder .. "/data/DIRTY"))
    start()
    check()
  end)

  it("stores the good lines of a push with a bad one, and says which was bad", function()
    start()
    local status, body = post("/api/v1/import/prometheus", "good 1\nbad{ 2\nfine 3\n")
    assert.equal(400, status)
    local answer = cjson.decode(body)
    assert.equal(2, answer.written)
    assert.equal(1, answer.refused)
    assert.equal(2, answer.examples[1].line)
    assert.equal("bad{ 2", answer.examples[1].text)
    assert.is_true(#answer.examples[1].error > 0)
    assert.equal("1", query("good").result[1].value[2])
    assert.equal("3", query("fine").result[1].value[2])
  end)

  it("refuses samples of the far future with the reason", function()
    start()
    local status, body = post("/api/v1/import/prometheus",
      ("late 1 %d\n"):format((os.time() + 3600) * 1000))
    assert.equal(400, status)
    assert.matches("future", body)
    assert.same({}, query("late", os.time() + 3600).result)
  end)

  it("counts back a hundred thousand series after a restart", function()
    local series, now = {}, os.time() * 1000
    for i = 1, 100000 do
      series[i] = { labels = { __name__ = "many", i = tostring(i), host = "h" .. i % 100 },
        { now, i } }
    end
    start()
    remote_write.push(("http://127.0.0.1:%d/api/v1/write"):format(port), series, 5000)
    local function check()
      local result = query("many", now / 1000).result
      assert.equal(100000, #result)
      local sum = 0
      for _, one in ipairs(result) do
        assert.equal(one.metric.i, one.value[2])
        sum = sum + tonumber(one.value[2])
      end
      assert.equal(100000 * 100001 / 2, sum)
    end
    check()
    assert.equal(0, server:stop())
    start()
    check()
  end)

  it("refuses a folder that another process has, with one line", function()
    start()
    local second = process.start({ build .. "/tidemark", "serve", "--data", folder .. "/data",
      "--listen", "127.0.0.1:0", "--log-level", "error" }, folder .. "/second")
    process.wait_for("the refusal", 20, function() return second:status() end)
    assert.equal(1, second:status())
    assert.matches("^tidemark: [^\n]*lock[^\n]*\n$", second:output())
    assert.equal(200, (get("/-/ready")))
  end)

  it("refuses a port that is taken, and a folder that cannot be made", function()
    start()
    local second = process.start({ build .. "/tidemark", "serve", "--data", folder .. "/other",
      "--listen", "127.0.0.1:" .. port, "--log-level", "error" }, folder .. "/second")
    process.wait_for("the refusal", 20, function() return second:status() end)
    assert.equal(1, second:status())
    assert.matches("^tidemark: [^\n]+\n$", second:output())
    local file = assert(io.open(folder .. "/file", "w"))
    file:close()
    local third = process.start({ build .. "/tidemark", "serve", "--data", folder .. "/file/data",
      "--listen", "127.0.0.1:0", "--log-level", "error" }, folder .. "/third")
    process.wait_for("the refusal", 20, function() return third:status() end)
    assert.equal(1, third:status())
    assert.matches("^tidemark: [^\n]+\n$", third:output())
  end)

  it("answers 400 in the API's form for what the asker did wrong", function()
    start()
    for _, path in ipairs { "/api/v1/query?query=", "/api/v1/query?query=up%7B",
      "/api/v1/query?query=up&time=x", "/api/v1/series", "/api/v1/query_range?query=up" } do
      local status, body = get(path)
      assert.equal(400, status, path)
      local answer = cjson.decode(body)
      assert.equal("error", answer.status)
      assert.equal("bad_data", answer.errorType)
      assert.is_true(#answer.error > 0)
    end
  end)

  it("exits with 2 on wrong usage and 1 on a wrong configuration", function()
    assert.equal(2, process.start({ build .. "/tidemark", "nonsense" }):stop(0))
    local file = assert(io.open(folder .. "/config.lua", "w"))
    file:write('return {\n  storage = {\n    retention = "15x",\n  },\n}\n')
    file:close()
    local refused = process.start({ build .. "/tidemark", "serve", "--config",
      folder .. "/config.lua" }, folder .. "/refused")
    process.wait_for("the refusal", 20, function() return refused:status() end)
    assert.equal(1, refused:status())
    assert.matches('config.lua:3: storage.retention "15x"', refused:output(), 1, true)
  end)
end)
