-- Runs the spec folders with busted, each in its own process, and adds up.
-- Usage: luajit spec/run.lua [--name PATTERN] [PATH ...]     (BUILD=build/asan for another variant)
local lfs = require "lfs"

local paths, name = {}, nil
local i = 1
while arg[i] do
  if arg[i] == "--name" then
    name, i = arg[i + 1], i + 1
  else
    paths[#paths + 1] = arg[i]
  end
  i = i + 1
end
if #paths == 0 then
  local folders = { "unit", "compat", "script", "http", "promql", "console", "web", "docs",
    "crash" }
  for _, folder in ipairs(folders) do
    if lfs.attributes("spec/" .. folder) then paths[#paths + 1] = "spec/" .. folder end
  end
end

local build = os.getenv("BUILD") or "build"

-- A sanitized library is loaded by a Lua that has the sanitizer's runtime in it.
local interpreter = "luajit"
if (os.getenv("SANITIZER") or "") ~= "" then
  interpreter = "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 " ..
    "TSAN_OPTIONS=halt_on_error=1:report_signal_unsafe=0 " .. build .. "/luahost"
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local total = { passed = 0, failed = 0, skipped = 0 }
for _, path in ipairs(paths) do
  print("== " .. path)
  io.stdout:flush()
  local report = os.tmpname()
  local command = ("PATH=build/peers/usr/bin:$PATH BUILD=%s REPORT=%s %s " ..
    "/usr/bin/busted -o spec/support/output.lua " ..
    "--lpath='./?.lua;./lua/?.lua' --pattern=_spec %s %s"):format(quote(build), report, interpreter,
    name and "--filter=" .. quote(name) or "", quote(path))
  local status = os.execute(command)
  local file = io.open(report)
  local passed, failed, skipped = (file and file:read("*a") or ""):match("(%d+) (%d+) (%d+)")
  if file then file:close() end
  os.remove(report)
  if not passed then
    print(path .. ": the spec process died")
    passed, failed, skipped = 0, 1, 0
  elseif status ~= 0 and tonumber(failed) == 0 then
    print(path .. ": exit status " .. tostring(status) .. " after its last spec")
    failed = 1
  end
  total.passed = total.passed + passed
  total.failed = total.failed + failed
  total.skipped = total.skipped + skipped
end

io.write(("%d passed, %d failed"):format(total.passed, total.failed))
if total.skipped > 0 then io.write((", %d skipped"):format(total.skipped)) end
io.write("\n")
io.stdout:flush()
os.exit(total.failed == 0 and total.passed > 0 and 0 or 1)
