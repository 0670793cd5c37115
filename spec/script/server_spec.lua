-- Scripts in a running server: the start, pushes, SIGHUP, the commands.
local process = require "spec.support.process"
local socket = require "socket"

local build = os.getenv("BUILD") or "build"
local SIGHUP = 1

local folder, server, port

local function write(name, text)
  local file = assert(io.open(folder .. "/scripts/" .. name, "w"))
  file:write(text)
  file:close()
end

-- A request; status, body.
local function request(method, path, body)
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:settimeout(10)
  assert(connection:send(("%s %s HTTP/1.0\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(
    method, path, #(body or ""), body or "")))
  local text = connection:receive("*a")
  connection:close()
  return tonumber(text:match("^HTTP/1%.%d (%d+)")), text:match("\r\n\r\n(.*)$")
end

local function start()
  port = process.free_port()
  server = process.start({ build .. "/tidemark", "serve", "--data", folder .. "/data",
    "--listen", "127.0.0.1:" .. port, "--scripts", folder .. "/scripts" }, folder .. "/log")
  process.wait_for("the server", 20, function()
    assert(not server:status(), server:output())
    local ok, status = pcall(request, "GET", "/-/ready")
    return ok and status == 200
  end)
end

local function metric(line)
  local _, body = request("GET", "/metrics")
  return tonumber(body:match("\n" .. line:gsub("%p", "%%%0") .. " (%S+)"))
end

-- What a command prints, and its exit status.
local function command(arguments)
  local pipe = io.popen("env -u LD_PRELOAD " .. build .. "/tidemark " .. arguments ..
    " 2>&1; echo 'status '$?")
  local text = pipe:read("*a")
  pipe:close()
  return text:match("^(.*)status (%d+)\n$")
end

describe("a server with scripts", function()
  before_each(function()
    folder = process.folder()
    assert(os.execute("mkdir " .. folder .. "/scripts") == 0)
  end)
  after_each(function()
    if server then server:kill() end
    server = nil
    process.remove(folder)
  end)

  it("admits by them, says what it dropped, and counts", function()
    write("a.lua", [[
      tide.admit("no dev", function(s)
        if s.labels.env == "dev" then return tide.drop "development" end
      end)]])
    start()
    -- What a rule drops is no error of the sender; with one, the answer tells both.
    local status = request("POST", "/api/v1/import/prometheus",
      'up{env="prod"} 1\nup{env="dev",x="1"} 1\n')
    assert.equal(204, status)
    local again, body = request("POST", "/api/v1/import/prometheus", 'up{env="dev"} 1\nup{ 1\n')
    assert.equal(400, again)
    assert.is_truthy(body:find('dropped by the rule \\"no dev\\": development', 1, true), body)
    assert.equal(3, metric 'tidemark_rule_calls_total{hook="admit",rule="no dev"}')
    assert.equal(0, metric 'tidemark_rule_errors_total{hook="admit",rule="no dev"}')
    assert.equal(0, server:stop())
  end)

  it("reloads at SIGHUP, all or nothing", function()
    write("a.lua", 'tide.admit("one", function() end)')
    start()
    write("a.lua", 'tide.admit("two", function() end)')
    write("b.lua", "oops(")
    server:signal(SIGHUP)
    process.wait_for("the refusal", 10, function()
      return server:output():find("b.lua:1: unexpected symbol near '<eof>'", 1, true)
    end)
    assert.is_nil((metric 'tidemark_rule_calls_total{hook="admit",rule="two"}'))
    assert.equal(200, (request("GET", "/-/ready")))
    write("b.lua", "")
    server:signal(SIGHUP)
    process.wait_for("the new rules", 10, function()
      return metric 'tidemark_rule_calls_total{hook="admit",rule="two"}' == 0
    end)
    assert.equal(0, server:stop())
  end)

  it("asks no rule of admission when it replays the log, for the past stays as it was", function()
    write("a.lua", 'tide.admit("one", function(s) s.labels.one = "1" end)')
    start()
    assert.equal(204, (request("POST", "/api/v1/import/prometheus", 'up{a="1"} 1\n')))
    server:kill()
    write("a.lua", 'tide.admit("two", function() return tide.drop "all" end) ' ..
      'tide.limit("none", { series = 1, match = "other" })')
    start()
    local _, body = request("GET", "/api/v1/series?match[]=up")
    assert.is_truthy(body:find('[{"__name__":"up","a":"1","one":"1"}]', 1, true), body)
    assert.equal(0, metric 'tidemark_rule_calls_total{hook="admit",rule="two"}')
    assert.equal(0, server:stop())
  end)

  it("says loudly that a rule is suspended", function()
    write("a.lua", 'tide.admit("bad", function() error "oops" end)')
    start()
    for i = 1, 12 do
      local line = ('up{a="%d"} 1\n'):format(i)
      assert.equal(204, (request("POST", "/api/v1/import/prometheus", line)))
    end
    local line = process.wait_for("the line", 10, function()
      return server:output():match("level=error msg=\"rule suspended until the next reload\"[^\n]*")
    end)
    assert.is_truthy(line:find('errors_in_row=10', 1, true), line)
    assert.is_truthy(line:find('a.lua:1: oops', 1, true), line)
    assert.equal(10, metric 'tidemark_rule_errors_total{hook="admit",rule="bad"}')
    assert.equal(0, server:stop())
  end)

  it("does not start with scripts that do not load, and says where", function()
    write("a.lua", 'local x = 1\ntide.retention("x", { keep = "15x" })')
    local text, status = command("serve --listen 127.0.0.1:0 --data " .. folder ..
      "/data --scripts " .. folder .. "/scripts")
    assert.equal("1", status)
    assert.is_truthy(text:find("tidemark: " .. folder .. "/scripts/a.lua:2: tide.retention: " ..
      'keep: not a duration (try "15d" or "forever")\n', 1, true), text)
  end)

  it("is checked without a server", function()
    write("a.lua", "tide.retention('x', function(s) return serise.labels.x end)")
    assert.same({ folder .. "/scripts/a.lua:1: unknown name serise\n", "1" },
      { command("check --scripts " .. folder .. "/scripts") })
    write("a.lua", "tide.retention('x', function(s) return s.labels.x end)")
    assert.same({ "the configuration and the scripts are good\n", "0" },
      { command("check --scripts " .. folder .. "/scripts") })
    assert.same({ "the configuration is good\n", "0" }, { command("check") })
    local text, status = command("check --scripts " .. folder .. "/nowhere")
    assert.equal("1", status)
    assert.is_truthy(text:find("No such file or directory", 1, true), text)
  end)
end)
