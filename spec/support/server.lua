-- Servers for specs, and a client on a raw socket that sees every byte of an answer.
local json = require "cjson"
local process = require "spec.support.process"
local socket = require "socket"

local server = {}
server.__index = server

local build = os.getenv("BUILD") or "build"

local function start(argv)
  local log = os.tmpname()
  return setmetatable({ process = process.start(argv, log), log = log }, server)
end

function server:expect_running()
  local status = self.process:status()
  if status then error(("it ended with %d: %s"):format(status, self.process:output()), 2) end
end

-- A program of spec/support that serves HTTP and prints its address.
function server.tool(name, ...)
  local self = start({ build .. "/tools/" .. name, ... })
  self.address = process.wait_for("the door's address", 10, function()
    self:expect_running()
    return self.process:output():match("127%.0%.0%.1:%d+\n")
  end):sub(1, -2)
  self.port = tonumber(self.address:match(":(%d+)$"))
  return self
end

-- The door alone (spec/support/http_server.c), with options such as "body_bytes=1000".
function server.door(...) return server.tool("http_server", ...) end

-- The product over a folder (default: a fresh one), ready.
function server.start(folder, ...)
  local port = process.free_port()
  folder = folder or process.folder()
  local self = start({ build .. "/tidemark", "serve", "--data", folder, "--listen",
    "127.0.0.1:" .. port, ... })
  self.folder, self.port, self.address = folder, port, "127.0.0.1:" .. port
  process.wait_for("readiness", 30, function()
    self:expect_running()
    local ok, answer = pcall(self.request, self, "GET", "/-/ready")
    return ok and answer.status == 200
  end)
  return self
end

-- The product over a configuration in which PORT stands for a free port, ready. Its config.lua may
-- be written anew (self:configure) and is read again by self:reload().
function server.configured(text, port)
  local folder = process.folder()
  local self = setmetatable({ folder = folder, port = port or process.free_port(), log = folder ..
    "/log" }, server)
  self.address = "127.0.0.1:" .. self.port
  self:configure(text)
  self.process = process.start({ build .. "/tidemark", "serve", "--config", folder .. "/config.lua",
    "--data", folder .. "/data" }, self.log)
  return self
end

function server:configure(text)
  local file = assert(io.open(self.folder .. "/config.lua", "w"))
  file:write((text:gsub("PORT", tostring(self.port)):gsub("FOLDER", self.folder)))
  file:close()
end

function server:ready(ask)
  process.wait_for("readiness", 30, function()
    self:expect_running()
    local ok, status = pcall(ask or function() return self:request("GET", "/-/ready").status end)
    return ok and status == 200
  end)
  return self
end

-- Signals, and waits until the log says how it went; what it says.
function server:reload()
  local from = #self.process:output() + 1
  self.process:signal(1)
  return process.wait_for("the reload", 10, function()
    return self.process:output():match("msg=\"(reload[^\n]+)", from)
  end)
end

function server:stop()
  local status = self.process:stop()
  os.remove(self.log)
  return status
end

-- --- the client ---------------------------------------------------------------------------------

local client = {}
client.__index = client

function server:connect(timeout)
  local tcp = assert(socket.tcp())
  timeout = timeout or 10
  tcp:settimeout(timeout)
  assert(tcp:connect("127.0.0.1", self.port))
  tcp:setoption("tcp-nodelay", true)
  return setmetatable({ tcp = tcp, rest = "", timeout = timeout }, client)
end

function client:send(bytes)
  self.tcp:settimeout(self.timeout)
  return self.tcp:send(bytes)
end
function client:close() self.tcp:close() end

-- More bytes into self.rest; false when the server has closed (or the time is over: an error).
function client:fill()
  if #socket.select({ self.tcp }, nil, self.timeout) == 0 then error("no answer in time", 2) end
  self.tcp:settimeout(0) -- or it would wait for that many bytes
  local bytes, _, part = self.tcp:receive(65536)
  bytes = bytes or part
  self.rest = self.rest .. bytes
  return #bytes > 0
end

function client:take(count)
  while #self.rest < count do
    if not self:fill() then
      error("closed after " .. #self.rest .. " of " .. count .. " bytes", 2)
    end
  end
  local bytes = self.rest:sub(1, count)
  self.rest = self.rest:sub(count + 1)
  return bytes
end

function client:line()
  while not self.rest:find("\r\n", 1, true) do
    if not self:fill() then return nil end
  end
  local at = self.rest:find("\r\n", 1, true)
  local line = self.rest:sub(1, at - 1)
  self.rest = self.rest:sub(at + 2)
  return line
end

local function take_chunks(self)
  local parts = {}
  while true do
    local size = tonumber(assert(self:line(), "closed within the chunks"), 16)
    if size == 0 then
      self:line()
      return table.concat(parts)
    end
    parts[#parts + 1] = self:take(size)
    assert(self:line() == "")
  end
end

-- The next answer: status, headers (names in lower case), body. nil when the server has closed.
function client:answer(method)
  local line = self:line()
  if not line then return nil end
  local answer = { status = tonumber(line:match("^HTTP/1%.1 (%d%d%d) ")), headers = {} }
  while true do
    line = assert(self:line(), "closed within the head")
    if line == "" then break end
    local name, value = line:match("^([^:]+): (.*)$")
    answer.headers[name:lower()] = value
  end
  local status, headers = answer.status, answer.headers
  if method == "HEAD" or status == 204 or status == 100 then
    answer.body = ""
  elseif headers["transfer-encoding"] == "chunked" then
    answer.body = take_chunks(self)
  elseif headers["content-length"] then
    answer.body = self:take(tonumber(headers["content-length"]))
  else
    while self:fill() do end
    answer.body, self.rest = self.rest, ""
  end
  return answer
end

-- True when the server closes now, without another byte.
function client:closed()
  if #self.rest > 0 then return false end
  local ok, more = pcall(self.fill, self)
  return ok and not more
end

-- A text as a part of a URL.
function server.escape(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- One request on a connection of its own.
function server:request(method, path, body, headers)
  local connection = self:connect()
  local lines = { method .. " " .. path .. " HTTP/1.1", "Host: spec", "Connection: close" }
  for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  if body then lines[#lines + 1] = "Content-Length: " .. #body end
  connection:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or ""))
  local answer = connection:answer(method)
  connection:close()
  return answer
end

-- { ['name{a="b"}'] = "value" } of an instant query, labels in order of names.
function server:values(query, time)
  local answer = self:request("GET", "/api/v1/query?query=" .. server.escape(query) ..
    (time and "&time=" .. time or ""))
  local found = {}
  for _, one in ipairs(json.decode(answer.body).data.result) do
    local labels = {}
    for name, value in pairs(one.metric) do
      if name ~= "__name__" then labels[#labels + 1] = ('%s="%s"'):format(name, value) end
    end
    table.sort(labels)
    found[(one.metric.__name__ or "") .. "{" .. table.concat(labels, ",") .. "}"] = one.value[2]
  end
  return found
end

return server
