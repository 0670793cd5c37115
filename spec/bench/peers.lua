-- The servers that benchmarks compare: ours and the neighbours' (Debian's Prometheus and
-- VictoriaMetrics in build/peers, or on the PATH), each with its defaults and one long retention.
local cjson = require "cjson"
local process = require "spec.support.process"
local socket = require "socket"

local peers = {}
peers.__index = peers

local build = os.getenv("BUILD") or "build"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function on_path(program)
  for _, folder in ipairs { "build/peers/usr/bin", "/usr/bin", "/usr/local/bin" } do
    local file = io.open(folder .. "/" .. program)
    if file then
      file:close()
      return folder .. "/" .. program
    end
  end
end

local kinds = {
  tidemark = {
    program = function() return build .. "/tidemark" end,
    version = function(program) return run(program .. " --version"):match("tidemark (%S+)") end,
    argv = function(program, folder, port)
      return { program, "serve", "--data", folder .. "/data", "--listen", "127.0.0.1:" .. port,
        "--retention", "forever", "--log-level", "error" }
    end,
    ready = "/-/ready",
  },
  ["victoria-metrics"] = {
    program = function() return on_path("victoria-metrics") end,
    version = function(program) -- its own -version is empty in Debian's build
      local prefix = program:match("^(.*)/bin/")
      return run("zcat " .. prefix .. "/share/doc/victoria-metrics/changelog*.gz | head -1")
        :match("%((%d[%d.]*)") or "of unknown version"
    end,
    argv = function(program, folder, port)
      return { program, "-storageDataPath=" .. folder .. "/data", "-retentionPeriod=100y",
        "-httpListenAddr=127.0.0.1:" .. port, "-loggerLevel=ERROR",
        "-search.disableCache", "-search.maxUniqueTimeseries=10000000" }
    end,
    ready = "/health",
  },
  prometheus = {
    program = function() return on_path("prometheus") end,
    version = function(program) return run(program .. " --version"):match("version (%d[%d.]*)") end,
    argv = function(program, folder, port)
      local config = assert(io.open(folder .. "/prometheus.yml", "w"))
      config:write("global: {}\n")
      config:close()
      return { program, "--config.file=" .. folder .. "/prometheus.yml",
        "--storage.tsdb.path=" .. folder .. "/data", "--storage.tsdb.retention.time=100y",
        "--web.enable-remote-write-receiver", "--web.listen-address=127.0.0.1:" .. port,
        "--log.level=error" }
    end,
    ready = "/-/ready",
  },
}

-- All names, ours first.
peers.names = { "tidemark", "victoria-metrics", "prometheus" }

--- Is the program there?
function peers.available(name) return kinds[name].program() ~= nil end
--- Its version as it says it.
function peers.version(name) return kinds[name].version(kinds[name].program()) end

--- One HTTP GET: the status, the body, and the seconds until the whole answer was there.
function peers.get(port, path, timeout)
  local client = assert(socket.tcp())
  client:settimeout(timeout or 60)
  local begin = socket.gettime()
  local ok, err = client:connect("127.0.0.1", port)
  if not ok then
    client:close()
    return nil, err
  end
  client:send("GET " .. path .. " HTTP/1.0\r\nHost: localhost\r\n\r\n")
  local answer = client:receive("*a") or ""
  client:close()
  return tonumber(answer:match("^HTTP/1%.%d (%d+)")), answer:match("\r\n\r\n(.*)$"),
    socket.gettime() - begin
end

--- Starts a server over `folder` (which must be there) and waits until it answers.
---@param wrapper table|nil words of a command that runs the server in its own place (taskset ...)
---@return table with port, pid; `ready_s`, the seconds that took
function peers.start(name, folder, wrapper)
  local kind, port = kinds[name], process.free_port()
  local argv = {}
  for _, word in ipairs(wrapper or {}) do argv[#argv + 1] = word end
  local begin = socket.gettime()
  local self = setmetatable({ name = name, port = port, folder = folder }, peers)
  for _, word in ipairs(kind.argv(kind.program(), folder, port)) do argv[#argv + 1] = word end
  self.process = process.start(argv, folder .. "/log")
  self.pid = self.process.pid
  process.wait_for(name .. " to be ready", 600, function()
    if self.process:status() then error(name .. " ended: " .. self.process:output()) end
    return peers.get(port, kind.ready, 5) == 200
  end)
  self.ready_s = socket.gettime() - begin
  return self
end

function peers:stop() return self.process:stop(15, 600) end
--- CPU seconds so far and peak resident bytes.
function peers:usage() return self.process:usage() end

--- Pushes by the load generator; its report (a table).
function peers:load(options)
  local command = ("%s/bench/load --host 127.0.0.1 --port %d --path /api/v1/write --format " ..
    "remote_write --pid %d --name %s"):format(build, self.port, self.pid, self.name)
  for name, value in pairs(options) do command = command .. " --" .. name .. " " .. value end
  local text = run(command)
  local line = text:match("(%b{})%s*$")
  if not line then error("the load generator failed:\n" .. text) end
  return cjson.decode(line)
end

--- Bytes of a folder: as files say, and in blocks on the disk.
function peers.disk(folder)
  return tonumber(run("du -sb " .. folder):match("^%d+")),
    tonumber(run("du -s --block-size=1 " .. folder):match("^%d+"))
end

return peers
