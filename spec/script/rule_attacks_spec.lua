-- What operator code can make C do through `tide` and the series: it ends by the limits, and the
-- process stays small.
local ffi = require "ffi"
local rules = require "spec.support.rules"
local sorted = require "spec.support.sorted"

ffi.cdef "int getpid(void);"

after_each(rules.close_all)

local function resident_mib()
  local file = assert(io.open("/proc/" .. ffi.C.getpid() .. "/status"))
  local kib = tonumber(file:read("*a"):match("VmRSS:%s*(%d+)"))
  file:close()
  return kib / 1024
end

-- Bodies of admission rules; `s` is the series, `big` a text of 64 KiB.
local attacks = {
  ["sets a label for ever"] = "while true do s.labels.x = big end",
  ["sets ever new labels"] = "local i = 0 while true do i = i + 1 s.labels['l' .. i] = 'x' end",
  ["sets labels under pcall"] = "while true do pcall(function() s.labels.x = big end) end",
  ["walks for ever"] = "while true do for _ in tide.pairs(s.labels) do end end",
  ["walks what it adds"] = "local i = 0 for _ in tide.pairs(s.labels) do i = i + 1 " ..
    "s.labels['l' .. i] = 'x' end",
  ["replaces into much"] = "while true do tide.replace(big, '(.*)', ('$1'):rep(128)) end",
  ["replaces with a long template"] = "return tide.replace(big, '(.*)', ('$1'):rep(1e5))",
  ["compiles ever new expressions"] = "local i = 0 while true do i = i + 1 " ..
    "tide.matches(big, '(.*a){200}' .. i) end",
  ["compiles a large expression"] = "while true do pcall(tide.matches, 'a', 'a{1000}{1000}') end",
  ["matches for ever"] = "while true do tide.matches(big, '(x+x+)+y') end",
  ["logs for ever"] = "while true do tide.log.debug(big) end",
  ["drops for ever"] = "while true do tide.drop 'x' end",
  ["calls the series"] = "while true do pcall(function() return s() end) end",
  ["compares series"] = "while true do local _ = s == s.labels, s.labels == s.labels end",
  ["asks for nonsense"] = "while true do pcall(function() return s[s] end) end",
  ["gives others' userdata"] = "while true do " ..
    "pcall(function() for _ in tide.pairs(s) do end end) end",
  ["durations without end"] = "local i = 0 while true do i = i + 1 tide.duration(i .. 's') end",
  ["requires for ever"] = "while true do pcall(require, 'x') require 'tidemark' end",
}

-- They return normally, and with nothing that they should not have.
local reaches = {
  ["metatable of the series"] = "assert(not pcall(setmetatable, s, {}))",
  ["metatable of labels"] = "assert(not pcall(setmetatable, s.labels, {}))",
  ["sets a field"] = "assert(not pcall(function() s.x = 1 end))",
  ["sets tide"] = "assert(not pcall(function() tide.drop = 1 end))",
  ["inserts into tide"] = "assert(not pcall(table.insert, tide, 1)) assert(next(tide) == nil)",
  ["sets tide.log"] = "assert(not pcall(function() tide.log.info = 1 end))",
  ["sets the drop type"] = "local d = tide.drop 'x' assert(not pcall(setmetatable, d, {}))",
  ["registers"] = "assert(not pcall(tide.admit, 'late', function() end))",
  ["steps out of lib"] = "for _, name in ipairs { '../a', '/etc/passwd', 'lib/x', '', " ..
    "'tidemark.tide', 'ffi', 'io', 'os' } do assert(not pcall(require, name)) end",
  ["bytes that are no UTF-8"] = "assert(not pcall(function() s.labels.x = '\\255' end))",
  ["zero bytes in names"] = "assert(not pcall(function() s.labels['a\\0b'] = 'x' end))",
}

local function open(body)
  return assert((rules.open({ ["a.lua"] = 'local big = ("x"):rep(65536) ' ..
    'tide.admit("attack", function(s) ' .. body .. " end)" }, { time_ms = 50 })))
end

describe("a rule", function()
  for _, name in ipairs(sorted(attacks)) do
    it("is stopped when it " .. name, function()
      local book, before = open(attacks[name]), resident_mib()
      local verdict, after = rules.admit(book, { a = "1" })
      assert.equal("as_is", verdict)
      assert.same({ a = "1" }, after)
      local rule = rules.rules(book)[1]
      assert.equal(1, rule.errors, rule.last_error)
      assert.is_true(rule.seconds < 5, rule.seconds)
      assert.is_true(resident_mib() - before < 200, resident_mib() - before)
    end)
  end

  for _, name in ipairs(sorted(reaches)) do
    it("gets nowhere with: " .. name, function()
      local book = open(reaches[name])
      rules.admit(book, { a = "1" })
      assert.equal("", rules.rules(book)[1].last_error)
    end)
  end
end)
