-- Runs what a page of the manual tells its reader to type, and compares what comes with what the
-- page says. The convention, for pages in docs/ and README.md:
--
--   ```console          commands behind `$ `, each with its output beneath. A line that ends with
--                       `\` or `|` goes on in the next. A command with `# status 1` at its end
--                       must end so, all others with 0. `tidemark serve`, `make run` and `... &`
--                       start in the background: what is beneath is how their log begins.
--   ```LANGUAGE PATH    a file that the reader writes
--
-- `<!-- waits -->` before a block says that its commands show what the server does by itself, a
-- little later. In an output `...` stands for any text, and alone on its line for any lines; times,
-- and names of snapshots, are compared by their form. Ports and the reader's folder are replaced.
local ffi = require "ffi"
local lfs = require "lfs"
local process = require "spec.support.process"
local socket = require "socket"

local page = {}

local WAIT_S = 90 -- for what the page says the server does by itself

-- --- reading ------------------------------------------------------------------------------------

local function add_line(step, line)
  local command = line:match("^%$ (.*)$")
  if command then
    return { kind = "command", text = command, output = {} }
  elseif step.text:find("[|\\]%s*$") then
    step.text = step.text .. "\n" .. line
  else
    table.insert(step.output, line)
  end
end

-- The steps of a page in order: { kind = "command", line, text, output = lines, status } and
-- { kind = "file", line, path, text }.
function page.parse(text)
  local steps, block, waits, number = {}, nil, false, 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if line == "<!-- waits -->" then
      waits = true
    elseif not block and line:find("^```") then
      local language, path = line:match("^```(%S*)%s*(%S*)")
      block, waits = { language = language, waits = waits }, false
      if path ~= "" then
        block.file = { kind = "file", line = number, path = path, text = "" }
        steps[#steps + 1] = block.file
      end
    elseif line == "```" then
      block = nil
    elseif block and block.file then
      block.file.text = block.file.text .. line .. "\n"
    elseif block and block.language == "console" then
      local step = add_line(block.step, line)
      if step then
        step.line, step.waits = number, block.waits
        block.step, steps[#steps + 1] = step, step
      end
    end
  end
  for _, step in ipairs(steps) do
    step.status = tonumber(step.text:match("# status (%d+)%s*$") or 0)
  end
  return steps
end

-- Commands that stand on the page in another form, which nobody would run: their lines.
function page.strays(text)
  local strays, fence, number = {}, nil, 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if line:find("^```") then
      fence = not fence and line or nil
      if fence and fence:find("^```%a*sh%f[%A]") then strays[#strays + 1] = number end
    elseif not fence and line:find("^    %$? ?[%a/]+") then
      strays[#strays + 1] = number
    end
  end
  return strays
end

-- --- comparing ----------------------------------------------------------------------------------

-- What differs each time, by its form.
local FORMS = {
  { "%d%d%d%d%d%d%d%dT%d%d%d%d%d%dZ%-%x+", "<snapshot>" },
  { "%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d:%d%d%.?%d*Z?", "<time>" },
  { "%d%d%d%d%-%d%d%-%d%d", "<day>" },
  { "%f[%d]1%d%d%d%d%d%d%d%d%d%d%d%d%f[%D]", "<milliseconds>" },
  { "%f[%d]1%d%d%d%d%d%d%d%d%d%.?%d*%f[^%d.]", "<seconds>" },
}

local function by_form(line)
  for _, form in ipairs(FORMS) do line = line:gsub(form[1], form[2]) end
  return (line:gsub("%s+$", ""))
end

local function fits(expected, line)
  local pattern = by_form(expected):gsub("[%^%$%(%)%%%[%]%*%+%-%?]", "%%%0"):gsub("%.%.%.", "\1")
    :gsub("%.", "%%."):gsub("\1", ".*")
  return by_form(line):find("^" .. pattern .. "$") ~= nil
end

-- Do lines[j...] fit expected[i...]?
local function fits_from(expected, i, lines, j, prefix)
  if i > #expected then return prefix or j > #lines end
  if expected[i] == "..." then
    for k = j, #lines + 1 do
      if fits_from(expected, i + 1, lines, k, prefix) then return true end
    end
    return false
  end
  return j <= #lines and fits(expected[i], lines[j]) and
    fits_from(expected, i + 1, lines, j + 1, prefix)
end

-- @param prefix  more may come behind what is expected
function page.fits(expected, text, prefix)
  local lines, wanted = {}, {}
  for line in text:gmatch("([^\n]*)\n?") do lines[#lines + 1] = line end
  for i, line in ipairs(expected) do wanted[i] = line end
  while lines[#lines] == "" do table.remove(lines) end
  while wanted[#wanted] == "" do table.remove(wanted) end
  return fits_from(wanted, 1, lines, 1, prefix)
end

-- --- running ------------------------------------------------------------------------------------

local runner = {}
runner.__index = runner

local function write(path, text, mode)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  if mode then os.execute(("chmod %s '%s'"):format(mode, path)) end
end

-- The program as a reader has it, at an address of this reader's own.
local TIDEMARK = [[
#!/bin/sh
case "$1" in
  --help | --version) exec %s "$@" ;;
  -* | "") command=serve ;;
  *) command=$1; shift ;;
esac
exec %s "$command" --listen 127.0.0.1:%d "$@"
]]

-- `make run` of the source folder, for a data folder of this reader's own.
local MAKE = [[
#!/bin/sh
exec /usr/bin/make -C %s --no-print-directory "$@" ARGS="--listen 127.0.0.1:%d --data '$PWD/data'"
]]

-- A reader in a fresh folder with the tree's scripts, docs and program in it.
function page.reader()
  local here = lfs.currentdir()
  local build = os.getenv("BUILD") or "build"
  local program = here .. "/" .. build .. "/tidemark"
  local self = setmetatable({ folder = process.folder(), ports = {}, servers = {} }, runner)
  for _, port in ipairs { "9201", "9090" } do self.ports[port] = process.free_port() end
  os.execute(("mkdir -p '%s/build' '%s/bin' && ln -s '%s/scripts' '%s/docs' '%s'"):format(
    self.folder, self.folder, here, here, self.folder))
  local text = TIDEMARK:format(program, program, self.ports["9201"])
  write(self.folder .. "/build/tidemark", text, 755)
  write(self.folder .. "/bin/tidemark", text, 755)
  write(self.folder .. "/bin/make", MAKE:format(here, self.ports["9201"]), 755)
  self.head = ("cd '%s' && PATH='%s/bin:%s/build/peers/usr/bin:'$PATH && LC_ALL=C.UTF-8 " ..
    "XDG_STATE_HOME='%s' && export PATH LC_ALL XDG_STATE_HOME\n"):format(self.folder, self.folder,
    here, self.folder)
  return self
end

function runner:localize(text)
  for theirs, ours in pairs(self.ports) do
    text = text:gsub("127%.0%.0%.1:" .. theirs, "127.0.0.1:" .. ours)
  end
  return text
end

-- Back to what the page would say.
function runner:generalize(text)
  for theirs, ours in pairs(self.ports) do
    text = text:gsub("127%.0%.0%.1:" .. ours, "127.0.0.1:" .. theirs)
  end
  return (text:gsub(self.folder:gsub("%p", "%%%0"), "/home/me/tidemark"))
end

-- Until a program says yes: each look starts a process, so not as often as one could.
local function wait_for(what, seconds, condition)
  return process.wait_for(what, seconds, function()
    return condition() or (socket.sleep(0.2) and nil)
  end)
end

local function fail(step, text)
  error(("line %d: $ %s\nexpected:\n%s\ngot:\n%s"):format(step.line, step.text,
    table.concat(step.output, "\n"), text), 0)
end

-- Ctrl-C: to the program and to what it started.
local function interrupt(server)
  ffi.C.kill(-server.pid, 2)
  process.wait_for("the end of " .. server.name, 30, function() return server:status() end)
  assert(server:output():find("stopped", 1, true), server:output())
end

-- Servers of one kind follow each other: the page stops the one before it starts the next.
function runner:start(step, kind)
  if self.servers[kind] then interrupt(self.servers[kind]) end
  local log = ("%s/%s-%d.log"):format(self.folder, kind, step.line)
  local command = self:localize(step.text):gsub("%s*&%s*$", "")
  local server = process.start({ "sh", "-c", self.head .. "exec setsid " .. command }, log)
  self.servers[kind] = server
  local address = "127.0.0.1:" .. (kind == "prometheus" and self.ports["9090"] or
    self.ports["9201"])
  wait_for(step.text, 120, function()
    if server:status() then fail(step, server:output()) end
    return os.execute("curl -sf -o /dev/null http://" .. address .. "/-/ready") == 0
  end)
  local text = self:generalize(server:output())
  if not page.fits(step.output, text, true) then fail(step, text) end
end

function runner:try(step)
  local script = self.folder .. "/command"
  write(script, self.head .. self:localize(step.text) .. "\n")
  local pipe = io.popen("sh " .. script .. " 2>&1 </dev/null; echo \"status $?\"")
  local text, status = pipe:read("*a"):match("^(.-)status (%d+)\n$")
  pipe:close()
  text = self:generalize(text)
  return tonumber(status) == step.status and page.fits(step.output, text), text .. "status " ..
    status
end

-- Does one step; an error says what came instead. What a server does by itself is waited for.
function runner:step(step)
  if step.kind == "file" then
    os.execute(("mkdir -p \"$(dirname '%s/%s')\""):format(self.folder, step.path))
    write(self.folder .. "/" .. step.path, self:localize(step.text))
  elseif step.text:find("tidemark serve") or step.text:find("^make run") then
    self:start(step, "tidemark")
  elseif step.text:find("&%s*$") then
    self:start(step, step.text:match("^[%w_-]+"))
  else
    local text
    local ok = pcall(wait_for, step.text, step.waits and WAIT_S or 0, function()
      local good
      good, text = self:try(step)
      return good
    end)
    if not ok then fail(step, text) end
  end
end

function runner:close()
  for _, server in pairs(self.servers) do
    if not server:status() then ffi.C.kill(-server.pid, 9) end
    server:kill()
  end
  process.remove(self.folder)
end

return page
