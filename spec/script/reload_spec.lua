-- Reloading: by route, command and signal; all or nothing; nobody who asks meanwhile is hurt.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local build = os.getenv("BUILD") or "build"

local folder, one

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

local function rule(refused, kept)
  return ([[
    tide.query("guard", function(q)
      q:restrict { env = "%s" }
    end)
    tide.admit("guard", function(s)
      if s.labels.env == "%s" then return tide.drop "not wanted" end
    end)]]):format(kept, refused)
end

local function command(arguments)
  local pipe = io.popen("env -u LD_PRELOAD " .. build .. "/tidemark " .. arguments ..
    " 2>&1; echo 'status '$?")
  local text = pipe:read("*a")
  pipe:close()
  return text:match("^(.*)status (%d+)\n$")
end

describe("a reload", function()
  before_each(function()
    folder = process.folder()
    write("a.lua", rule("dev", "prod"))
    one = server.start(nil, "--scripts", folder)
  end)
  after_each(function()
    assert.equal(0, one:stop())
    process.remove(folder)
    process.remove(one.folder)
  end)

  local function version()
    return json.decode(one:request("GET", "/api/v1/status/scripts").body).data.version
  end

  it("by POST /-/reload answers what is wrong, and where", function()
    assert.equal(1, version())
    assert.equal(200, one:request("POST", "/-/reload").status)
    assert.equal(2, version())
    write("b.lua", "tide.retention('x', { keep = '15x' })")
    local answer = one:request("POST", "/-/reload")
    assert.equal(500, answer.status)
    assert.equal("failed to reload config: " .. folder .. "/b.lua:1: tide.retention: keep: not " ..
      'a duration (try "15d" or "forever")', json.decode(answer.body).error)
    assert.equal(2, version())
    assert.equal(405, one:request("GET", "/-/reload").status)
  end)

  it("that failed is told until one goes well", function()
    local function told()
      local info = json.decode(one:request("GET", "/api/v1/status/runtimeinfo").body).data
      local scripts = json.decode(one:request("GET", "/api/v1/status/scripts").body).data
      local metrics = one:request("GET", "/metrics").body
      return info.reloadConfigSuccess, scripts.failure,
        metrics:match("\nprometheus_config_last_reload_successful (%d)\n")
    end
    assert.same({ true, nil, "1" }, { told() })
    write("b.lua", "tide.retention('x', { keep = '15x' })")
    local wrong = json.decode(one:request("POST", "/-/reload").body).error
    local good, failure, gauge = told()
    assert.same({ false, "0" }, { good, gauge })
    assert.equal(wrong, "failed to reload config: " .. failure)
    os.remove(folder .. "/b.lua")
    assert.equal(200, one:request("POST", "/-/reload").status)
    local again, none, one_gauge = told()
    assert.same({ true, "1" }, { again, one_gauge })
    assert.is_nil(none)
  end)

  it("by the command says the same, and exits with 1", function()
    local arguments = "reload --listen " .. one.address
    assert.same({ "reloaded\n", "0" }, { command(arguments) })
    write("b.lua", "oops(")
    assert.same({ "tidemark: the server answered 500: failed to reload config: " .. folder ..
      "/b.lua:1: unexpected symbol near '<eof>'\n", "1" }, { command(arguments) })
    assert.same({ "reloaded\n", "0" }, { (function()
      os.remove(folder .. "/b.lua")
      return command("reload --url http://" .. one.address .. "/prometheus/")
    end)() })
    local text, status = command("reload --url http://127.0.0.1:1")
    assert.equal("1", status)
    assert.is_truthy(text:find("^tidemark: http://127.0.0.1:1: "), text)
    assert.equal("2", select(2, command("reload now")))
  end)

  it("under load is whole: no request fails, and the old rules hold while the new are broken",
    function()
      local now = os.time()
      assert.equal(204, one:request("POST", "/api/v1/import/prometheus",
        ('up{env="prod"} 1 %d000\nup{env="test"} 1 %d000\n'):format(now, now)).status)
      local connections = {}
      for i = 1, 12 do connections[i] = one:connect() end
      local get = "GET /api/v1/query?query=up&time=" .. now .. " HTTP/1.1\r\nHost: x\r\n\r\n"
      local kept = { prod = 0, test = 0 }
      local in_force, serial = "prod", 0
      for round = 1, 60 do
        -- Several requests are under way on each connection when the reload comes.
        for i, connection in ipairs(connections) do
          for _ = 1, 4 do
            serial = serial + 1
            local body = ('load{env="%s",n="%d"} 1\n'):format(i % 2 == 0 and "dev" or "x", serial)
            connection:send(get .. "POST /api/v1/import/prometheus HTTP/1.1\r\nHost: x\r\n" ..
              "Content-Length: " .. #body .. "\r\n\r\n" .. body)
          end
        end
        local broken = round % 3 ~= 0
        local before = in_force
        if broken then
          write("b.lua", "error 'broken'")
        else
          os.remove(folder .. "/b.lua")
          in_force = in_force == "prod" and "test" or "prod"
          write("a.lua", rule("dev", in_force))
        end
        assert.equal(broken and 500 or 200, one:request("POST", "/-/reload").status)
        for _, connection in ipairs(connections) do
          for _ = 1, 4 do
            local answer = connection:answer("GET")
            assert.equal(200, answer.status, answer.body)
            local result = json.decode(answer.body).data.result
            assert.equal(1, #result)
            local env = result[1].metric.env
            kept[env] = kept[env] + 1
            assert.is_true(env == before or env == in_force)
            local pushed = connection:answer("POST")
            assert.equal(204, pushed.status, pushed.body)
          end
        end
        local answer = one:request("GET", "/api/v1/query?query=up&time=" .. now)
        assert.equal(in_force, json.decode(answer.body).data.result[1].metric.env)
      end
      assert.is_true(kept.prod > 0 and kept.test > 0)
      assert.equal(21, version())
      local answer = one:request("GET", "/api/v1/series?match[]=load")
      assert.is_nil(answer.body:find("dev", 1, true))
    end)
end)
