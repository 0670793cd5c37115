-- Real clients and servers for specs: where they are, how they are started, what they did.
local cjson = require "cjson"
local process = require "spec.support.process"

local peers = {}

local build = os.getenv("BUILD") or "build"
-- All variants of the build share what was fetched.
local fetched = "build/peers"

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- A program's path: fetched (make peers), or installed; nil when it cannot be had.
function peers.find(name)
  for _, folder in ipairs { "/usr/bin/", "/usr/sbin/" } do
    if exists(fetched .. folder .. name) then return fetched .. folder .. name end
  end
  local pipe = io.popen("command -v " .. name)
  local path = pipe:read("*l")
  pipe:close()
  return path
end

-- Is this npm package there, and node to run it?
function peers.has_package(name)
  return peers.find("node") ~= nil and
    exists(fetched .. "/node_modules/" .. name .. "/package.json")
end

function peers.run(command)
  local pipe = io.popen(command .. " 2>&1; status=$?; echo; echo status=$status")
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)\nstatus=(%d+)\n$")
  return output, tonumber(status)
end

-- Runs spec/peers/NAME.js; the JSON that it prints.
function peers.node(name, ...)
  local arguments = table.concat({ ... }, "' '")
  local pipe = io.popen(("NODE_PATH=%s/node_modules node spec/peers/%s.js '%s' 2>&1"):format(
    fetched, name, arguments))
  local text = pipe:read("*a")
  pipe:close()
  local ok, told = pcall(cjson.decode, text:match("[^\n]*\n?$"))
  if not ok or type(told) ~= "table" then error(name .. ": " .. text, 2) end
  return told
end

function peers.write_file(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Runs curl; returns the body and the status.
function peers.curl(arguments)
  local pipe = io.popen("curl -s -w '\\n%{http_code}' " .. arguments)
  local text = pipe:read("*a")
  pipe:close()
  local body, status = text:match("^(.*)\n(%d+)$")
  return body, tonumber(status)
end

function peers.wait_ready(port, path)
  process.wait_for("port " .. port, 30, function()
    return select(2, peers.curl(("http://127.0.0.1:%d%s"):format(port, path))) == 200
  end)
end

-- The result of an instant query.
function peers.query(port, expression, time)
  local body, status = peers.curl(
    ("--data-urlencode '%s' %s http://127.0.0.1:%d/api/v1/query"):format(
      "query=" .. expression:gsub("'", "'\\''"),
      time and ("--data-urlencode time=%.3f"):format(time) or "", port))
  if status ~= 200 then error(expression .. ": " .. tostring(body), 2) end
  return cjson.decode(body).data.result
end

-- The one number of a query; 0 when nothing is found.
function peers.number(port, expression, time)
  local result = peers.query(port, expression, time)
  return result[1] and tonumber(result[1].value[2]) or 0
end

-- {metric text -> its samples as text} of a selector (instant or range), comparable among servers.
function peers.samples(port, selector, time)
  local found, count = {}, 0
  for _, series in ipairs(peers.query(port, selector, time)) do
    local names = {}
    for name, value in pairs(series.metric) do names[#names + 1] = name .. "=" .. value end
    table.sort(names)
    local values = {}
    for _, pair in ipairs(series.values or { { 0, series.value[2] } }) do
      values[#values + 1] = ("%.3f %s"):format(pair[1], pair[2])
      count = count + 1
    end
    found[table.concat(names, ",")] = table.concat(values, "\n")
  end
  return found, count
end

-- A Tidemark on ports of its own; stop it with process:stop.
function peers.tidemark(folder, ...)
  local port = process.free_port()
  local one = process.start({ build .. "/tidemark", "serve", "--data", folder .. "/data-" .. port,
    "--listen", "127.0.0.1:" .. port, ... }, folder .. "/tidemark-" .. port .. ".log")
  peers.wait_ready(port, "/-/ready")
  return one, port
end

-- A Prometheus with this configuration, over a folder of its own unless `data` names one.
function peers.prometheus_over(data, folder, config, ...)
  local port = process.free_port()
  local path = ("%s/prometheus-%d"):format(folder, port)
  peers.write_file(path .. ".yml", config)
  local one = process.start({ peers.find("prometheus"), "--config.file=" .. path .. ".yml",
    "--storage.tsdb.path=" .. (data or path), "--web.listen-address=127.0.0.1:" .. port, ... },
    path .. ".log")
  peers.wait_ready(port, "/-/ready")
  return one, port
end

function peers.prometheus(folder, config, ...)
  return peers.prometheus_over(nil, folder, config, ...)
end

-- --- the table of docs/protocols.md ------------------------------------------------------------

local rows = {}

-- What a client did: counts of what it sent or asked for, and of what was found. They must be
-- equal; the row goes into the table.
function peers.row(protocol, client, what, sent, found)
  rows[#rows + 1] = ("| %s | %s | %s | %d | %d | %s |"):format(protocol, client, what, sent, found,
    sent == found and "equal" or "NOT EQUAL")
  assert(sent > 0 and sent == found, rows[#rows])
end

-- Writes the rows into the file between its marks, when TABLE=1 asks for it (make protocols).
function peers.write_table(path)
  if os.getenv("TABLE") ~= "1" then return end
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  table.sort(rows)
  local head = "| protocol | client | what | sent | read back | |\n|---|---|---|---:|---:|---|\n"
  local first, last = "<!-- table: make protocols -->\n", "<!-- end of the table -->"
  local from, to = text:find(first, 1, true), text:find(last, 1, true)
  assert(from and to, path .. " has no place for the table")
  peers.write_file(path, text:sub(1, from - 1) .. first .. head ..
    table.concat(rows, "\n") .. "\n" .. text:sub(to))
end

return peers
