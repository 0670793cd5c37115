-- Programs that try to run on, to take memory, to crash the process or to reach out of the sandbox.
-- Each runs bare, in an endless loop of pcall, and in nested xpcalls, with and without watchdog.
-- A program that reaches what it should not returns a text that begins with ESCAPED.

-- luacheck: no max line length (a program is one line)
local sorted = require "spec.support.sorted"
local build = os.getenv("BUILD") or "build"
local sanitized = (os.getenv("SANITIZER") or "") ~= ""

local TIME_MS, MEMORY_KIB = 50, 16384
-- C functions between two hooks run on; beyond this much CPU time a stop came too late.
local LATE_MS = sanitized and 10000 or 500

-- Endless or expensive: must end by time or memory or with an error of their own.
local attacks = {
  ["loop"] = "while true do end",
  ["repeat"] = "repeat until false",
  ["goto"] = "::again:: goto again",
  ["for"] = "for i = 1, math.huge do end",
  ["arithmetic"] = "local x = 0 while true do x = x * 1.1 % 7 end",
  ["recursion"] = "local function f() return f() end f()",
  ["deep recursion"] = "local function f() f() end f()",
  ["mutual recursion"] = "local f, g function f() g() return 1 end function g() f() return 1 end " ..
    "local ok, e = pcall(f) while true do f() end",
  ["pcall loop"] = "while true do pcall(function() while true do end end) end",
  ["pcall of itself"] = "local f f = function() while true do pcall(f) end end f()",
  ["pcall of pcall"] = "local f f = function() return pcall(pcall, pcall, f) end while true do f() end",
  ["pcall of recursion"] = "local function f() f() end while true do pcall(f) end",
  ["recursion with pcall"] = "local function f() pcall(f) f() end f()",
  ["xpcall handler"] = "xpcall(function() while true do end end, function() while true do end end)",
  ["xpcall handler of an error"] = "xpcall(error, function() while true do end end)",
  ["xpcall handler recursion"] =
    "local function h(e) return xpcall(error, h) end while true do xpcall(error, h) end",
  ["xpcall of itself"] = "local f f = function() while true do xpcall(f, f) end end f()",
  ["error in handler"] = "while true do xpcall(error, error, {}) end",
  ["__index loop"] = "local t = setmetatable({}, { __index = function() while true do end end }) " ..
    "while true do pcall(function() return t.x end) end",
  ["__index chain"] = "local t = {} for i = 1, 1e7 do t = setmetatable({}, { __index = t }) end return t.x",
  ["__index of itself"] = "local t = {} setmetatable(t, { __index = t }) while true do pcall(function() " ..
    "return t.x end) end",
  ["__newindex loop"] = "local t = setmetatable({}, { __newindex = function() while true do end end }) t.x = 1",
  ["__call loop"] = "local t = setmetatable({}, { __call = function() while true do end end }) t()",
  ["__call of itself"] = "local t = {} setmetatable(t, { __call = t }) t()",
  ["__concat loop"] = "local t = setmetatable({}, { __concat = function() while true do end end }) " ..
    "return t .. 'x'",
  ["__eq loop"] = "local m = { __eq = function() while true do end end } " ..
    "return setmetatable({}, m) == setmetatable({}, m)",
  ["__lt loop in sort"] = "local m = { __lt = function() while true do end end } " ..
    "local t = { setmetatable({}, m), setmetatable({}, m) } table.sort(t)",
  ["__len loop"] = "local t = setmetatable({}, { __len = function() while true do end end }) return #t + 1, " ..
    "t - 1",
  ["__unm recursion"] = "local m = {} m.__unm = function(x) return -x end return -setmetatable({}, m)",
  ["__tostring recursion"] = "local t = setmetatable({}, {}) local m = { __tostring = function(x) " ..
    "return tostring(x) end } setmetatable(t, m) while true do tostring(t) end",
  ["__gc"] = "for i = 1, 1e9 do setmetatable({}, { __gc = function() while true do end end }) end",
  ["__mode"] = "local t = setmetatable({}, { __mode = 'kv' }) for i = 1, 1e9 do t[{}] = {} end",
  ["sort comparator"] = "table.sort({ 3, 2, 1 }, function() while true do end end)",
  ["sort recursion"] = "local function f() table.sort({ 2, 1 }, f) end f()",
  ["sort pcall recursion"] = "local function f() pcall(table.sort, { 2, 1 }, f) end while true do f() end",
  ["sort inconsistent"] = "local t = {} for i = 1, 1e5 do t[i] = i end " ..
    "while true do pcall(table.sort, t, function() return true end) end",
  ["sort quadratic"] = [[
    local t, n = {}, 20000
    for i = 1, n do t[i] = i end
    for i = 1, n, 2 do t[i], t[n - i + 1] = t[n - i + 1], t[i] end
    while true do table.sort(t) for i = 1, n do t[i] = n - i end end]],
  ["insert in front"] = "local t = {} while true do table.insert(t, 1, 1) end",
  ["insert far away"] = "table.insert({ 1 }, -2147483647, 1)",
  ["insert at -1"] = "local t = { 1 } while true do pcall(table.insert, t, -1e9, 1) end",
  ["remove"] = "local t = {} for i = 1, 5e5 do t[i] = i end while true do table.remove(t, 1) t[#t + 1] = 1 end",
  ["concat"] = "local t = {} for i = 1, 1e5 do t[i] = 'abcdefgh' end while true do table.concat(t) end",
  ["concat doubling"] = "local s = 'x' while true do s = s .. s end",
  ["concat doubling in pcall"] = "local s = 'x' while true do pcall(function() s = s .. s end) end",
  ["rep"] = "return #('x'):rep(1e9)",
  ["rep of rep"] = "local s = ('x'):rep(1e6) while true do pcall(function() return s:rep(1e6) end) end",
  ["rep with separator"] = "return #('x'):rep(1e5, ('y'):rep(1e6))",
  ["rep negative"] = "return #('x'):rep(-1e9) .. string.rep('', 1e18)",
  ["rep nan"] = "return #('x'):rep(0/0)",
  ["upper"] = "local s = ('x'):rep(1e6) while true do s:upper() s:lower() s:reverse() end",
  ["byte"] = "local s = ('x'):rep(1e6) while true do pcall(function() return { s:byte(1, -1) } end) end",
  ["char"] = "while true do string.char(1, 2, 3) end",
  ["format"] = "while true do string.format('%99.99f', 1e308) end",
  ["format of long texts"] = "local s = ('x'):rep(1e6) while true do pcall(string.format, '%s%s%s%s%q', s, s, " ..
    "s, s, s) end",
  ["format recursion"] = "local t = setmetatable({}, { __tostring = function(x) return " ..
    "string.format('%s', x) end }) return string.format('%s', t)",
  ["find"] = "local s = ('a'):rep(1e6) while true do s:find(('a'):rep(1e5) .. 'b', 1, true) end",
  ["unpack"] = "while true do pcall(unpack, {}, 1, 1e7) end",
  ["unpack of much"] = "local t = {} for i = 1, 7000 do t[i] = i end while true do select('#', unpack(t)) end",
  ["select"] = "local function f(...) return f(1, ...) end f()",
  ["tables"] = "local t = {} while true do t = { t } end",
  ["many keys"] = "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end",
  ["tables in pcall"] = "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end",
  ["memory then loop"] = "local t = {} pcall(function() while true do t[#t + 1] = ('x'):rep(1e5) .. #t end end) " ..
    "while true do end",
  ["closures"] = "local f = function() end while true do local g = f f = function() return g end end",
  ["long argument lists"] = "local t = {} for i = 1, 200 do t[i] = i end local function f(...) return " ..
    "f(unpack(t)) end while true do pcall(f) end",
  ["cdata literals"] = "local x = 1LL while true do x = x + 1LL end",
  ["ipairs"] = "local t = setmetatable({}, { __index = function(_, i) return i end }) " ..
    "for _ in ipairs(t) do end",
  ["pairs"] = "local t = {} for i = 1, 1000 do t[i] = i end while true do for _ in pairs(t) do end end",
  ["next restart"] = "local t = { 1 } local k while true do k = next(t, k) end",
  ["error objects"] = "local e = setmetatable({}, { __tostring = function() while true do end end }) error(e)",
  ["error nil"] = "error(nil)",
  ["error number"] = "while true do pcall(error, 1) end",
  ["error long"] = "local s = ('x'):rep(1e6) while true do pcall(error, s) end",
  ["caught kill"] = "local e while true do local ok, x = pcall(function() while true do end end) e = x end",
  ["kill rethrown"] = "while true do xpcall(function() while true do end end, function(e) error(e) end) end",
  ["bit"] = "while true do bit.bxor(1, 2) bit.tohex(7) end",
  ["random"] = "while true do math.random(1, 10) end",
  ["tonumber"] = "local s = ('1'):rep(1e6) while true do tonumber(s) tonumber(s, 36) end",
  ["compare"] = "local a, b = ('x'):rep(1e6) .. 'a', ('x'):rep(1e6) .. 'b' while true do local _ = a < b end",
  ["intern"] = "local s, i = ('x'):rep(1e5), 0 while true do i = i + 1 local _ = s .. i end",
}

-- Must find nothing. `ESCAPED` is what they return when they do.
local reaches = {}
for _, name in ipairs { "_G", "io", "os", "debug", "package", "require", "module", "load", "loadstring",
  "loadfile", "dofile", "newproxy", "collectgarbage", "gcinfo", "print", "jit", "ffi", "coroutine",
  "getfenv", "setfenv", "getmetatable", "rawset", "rawget", "rawlen", "native", "tidemark" } do
  reaches["global " .. name] = ("local ok, x = pcall(function() return %s end) " ..
    "return ok and x ~= nil and 'ESCAPED' or 'no'"):format(name)
end
for _, name in ipairs { "dump", "match", "gmatch", "gsub", "gfind" } do
  reaches["string." .. name] = ("return (string.%s or (''). %s) and 'ESCAPED' or 'no'"):format(name, name)
end
for name, code in pairs {
  ["string metatable"] = "local ok, x = pcall(setmetatable, '', {}) return ok and 'ESCAPED' or 'no'",
  ["set string"] = "local ok = pcall(function() string.rep = 1 end) return ok and 'ESCAPED' or 'no'",
  ["set through a text"] =
    "local ok = pcall(function() (('').x).y = 1 end) return ok and 'ESCAPED' or 'no'",
  ["set table"] = "local ok = pcall(function() table.sort = 1 end) return ok and 'ESCAPED' or 'no'",
  ["set math"] = "local ok = pcall(function() math.huge = 1 end) return ok and 'ESCAPED' or 'no'",
  ["new global"] = "local ok = pcall(function() x = 1 end) return ok and 'ESCAPED' or 'no'",
  ["set a global"] = "local ok = pcall(function() pcall = 1 end) return ok and 'ESCAPED' or 'no'",
  ["proxy metatable"] =
    "local ok = pcall(setmetatable, string, {}) return ok and 'ESCAPED' or 'no'",
  ["proxy content"] = "for k in pairs(string) do return 'ESCAPED ' .. k end return 'no'",
  ["next of proxy"] = "return next(math) and 'ESCAPED' or 'no'",
  ["sort of proxy"] = "return pcall(table.insert, string, 1) and string[1] and 'ESCAPED' or 'no'",
  ["address"] = "return tostring({}) ~= 'table' and 'ESCAPED' or tostring(pcall) ~= 'function' and " ..
    "'ESCAPED' or 'no'",
  ["pattern"] = "local ok = pcall(string.find, 'aaa', 'a*b') return ok and 'ESCAPED' or 'no'",
  ["pattern by method"] = "local ok = pcall(function() return ('aaa'):find('%a+') end) " ..
    "return ok and 'ESCAPED' or 'no'",
  ["cdata"] = "local x = 1LL local ok = pcall(function() return x.y end) return ok and 'ESCAPED' or 'no'",
  ["format of cdata"] = "return pcall(string.format, '%s', 1LL) and 'ESCAPED' or 'no'",
  ["kill caught"] = "return 'no'",
} do reaches[name] = code end

local wraps = {
  bare = function(code) return code end,
  pcalls = function(code)
    return "local function attack() " .. code .. " end while true do pcall(attack) end"
  end,
  xpcalls = function(code)
    return "local function attack() " .. code .. " end while true do xpcall(function() " ..
      "pcall(xpcall, attack, attack) end, function() pcall(attack) end) end"
  end,
}

-- Runs programs { name, code } in one process; the lines that it printed, by name.
local function run(programs, watchdog)
  local input = os.tmpname()
  local file = assert(io.open(input, "w"))
  for _, program in ipairs(programs) do
    file:write(program[1], "\n", #program[2], "\n", program[2])
  end
  file:close()
  local pipe = io.popen(("env -u LD_PRELOAD timeout 300 %s/tools/sandbox_runner %d %d %d < %s 2>%s.err; " ..
    "echo 'exit status '$?"):format(build, TIME_MS, MEMORY_KIB, watchdog and 1 or 0, input, input))
  local results, status = {}, nil
  for line in pipe:lines() do
    status = line:match("^exit status (%d+)$")
    local name, stop, cpu, usable, kept, text = line:match("^(.-)\t(.-)\t(.-)\t(.-)\t(.-)\t(.*)$")
    if name then
      results[name] = { stop = stop, cpu_ms = tonumber(cpu), usable = usable, kept = tonumber(kept),
        text = text }
    end
  end
  pipe:close()
  local errors = io.open(input .. ".err"):read("*a")
  os.remove(input)
  os.remove(input .. ".err")
  local last = errors:match("([^\n]*)\n?$")
  assert(status == "0", "the runner ended with " .. tostring(status) .. " in: " .. last)
  return results
end

local function check(programs, watchdog)
  local results = run(programs, watchdog)
  local problems = {}
  for _, program in ipairs(programs) do
    local name, result = program[1], results[program[1]]
    local function problem(text) problems[#problems + 1] = name .. ": " .. text end
    if not result then
      problem("no result")
    else
      if result.text:find("^ESCAPED") then problem(result.text) end
      if result.cpu_ms > LATE_MS then problem("stopped after " .. result.cpu_ms .. " ms of CPU") end
      if result.usable ~= "usable" then problem("state not usable: " .. result.usable) end
      if result.kept > 16384 then problem(result.kept .. " bytes stay") end
      if program.endless and result.stop ~= "time" and result.stop ~= "memory" then
        problem("not stopped but " .. result.stop .. " " .. result.text)
      end
    end
  end
  assert.equal("", table.concat(problems, "\n"))
end

describe("the sandbox", function()
  setup(function()
    assert(os.execute("make -s " .. build .. "/tools/sandbox_runner") == 0)
  end)

  for _, wrap in ipairs(sorted(wraps)) do
    for _, watchdog in ipairs { true, false } do
      it(("stops every attack, %s, %s watchdog"):format(wrap, watchdog and "with" or "without"),
        function()
          local programs = {}
          for _, name in ipairs(sorted(attacks)) do
            programs[#programs + 1] = { name .. " (" .. wrap .. ")", wraps[wrap](attacks[name]),
              endless = wrap ~= "bare" }
          end
          check(programs, watchdog)
        end)
    end
  end

  it("lets nothing be reached", function()
    local programs = {}
    for _, name in ipairs(sorted(reaches)) do programs[#programs + 1] = { name, reaches[name] } end
    check(programs, false)
    for name, result in pairs(run(programs, false)) do
      assert.equal("ran", result.stop, name .. ": " .. result.text)
      assert.equal("no", result.text, name)
    end
  end)

  it("refuses bytecode", function()
    local results = run({ { "bytecode", string.dump(function() return "ESCAPED" end) } }, false)
    assert.equal("raised", results.bytecode.stop)
    assert.equal("attack: bytecode, not the text of a script", results.bytecode.text)
  end)
end)
