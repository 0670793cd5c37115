-- Regular expressions: anchored, linear, with Go's template expansion.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/regex.h", "base/mem.h")

local function compile(pattern)
  local err = tide.error()
  local regex = C.regex_compile(nil, pattern, #pattern, err)
  if regex == nil then return nil, tide.text(err) end
  return ffi.gc(regex, C.regex_unref)
end

local function expand(pattern, text, template)
  local out, len = ffi.new("char *[1]"), ffi.new("size_t[1]")
  if not C.regex_expand(compile(pattern), text, #text, template, #template, out, len) then
    return nil
  end
  local result = ffi.string(out[0], len[0])
  C.mem_free(out[0])
  return result
end

describe("regex", function()
  it("is anchored at both ends and lets . match a newline", function()
    local regex = compile("a.c")
    assert.is_true(C.regex_matches(regex, "a\nc", 3))
    assert.is_false(C.regex_matches(regex, "xabc", 4))
    assert.is_false(C.regex_matches(regex, "abcx", 4))
    assert.is_true(C.regex_matches(compile("a|bc"), "bc", 2))
    assert.is_false(C.regex_matches(compile("a|bc"), "abc", 3))
  end)

  it("matches the same behind a literal beginning, whatever follows it", function()
    for _, case in ipairs {
      { "host-0.", "host-01", true }, { "host-0.", "host-11", false }, { "host-0.", "host", false },
      { "ab?c", "ac", true }, { "ab*", "a", true }, { "ab{0,2}c", "ac", true },
      { "ab{2}", "abb", true }, { "ab+", "a", false }, { "ab+", "abb", true },
      { "ab|c", "c", true }, { "ab(c|d)", "abd", true }, { "a(?i)B", "ab", true },
      { "(?i)ab", "AB", true }, { "aé?", "a", true }, { "aé+", "aéé", true },
      { "a\\.b", "a.b", true },
      { "a\\.b", "a\\xb", false }, { "a{", "a{", true }, { "", "", true }, { "", "a", false },
    } do
      assert.equal(case[3], C.regex_matches(compile(case[1]), case[2], #case[2]),
        case[1] .. " on " .. case[2])
    end
  end)

  it("refuses bad syntax and \\C with a text", function()
    local regex, text = compile("(")
    assert.is_nil(regex)
    assert.matches("error parsing regexp: missing closing %)", text)
    assert.is_nil(compile("\\C"))
    assert.is_not_nil(compile("\\\\C"))
  end)

  it("takes linear time on what kills backtracking", function()
    local text = ("a"):rep(5000)
    assert.is_false(C.regex_matches(compile("(a|aa)+$b"), text, #text))
  end)

  it("expands templates as Go does", function()
    assert.equal("1-2", expand("(\\d)(\\d)", "12", "$1-$2"))
    assert.equal("2x", expand("(\\d)(?P<second>\\d)", "12", "${second}x"))
    assert.equal("", expand("(\\d)(\\d)", "12", "$1x"))
    assert.equal("$-12", expand("(\\d)(\\d)", "12", "$$-$0"))
    assert.equal("$ ${1", expand("(\\d)(\\d)", "12", "$ ${1"))
    assert.equal("", expand("(\\d)(\\d)", "12", "$7$nope"))
    assert.is_nil(expand("a", "b", "x"))
  end)

  it("knows literal alternatives", function()
    local count = ffi.new("size_t[1]")
    local texts = C.regex_literals(compile("a|bc|"), count)
    assert.equal(3, tonumber(count[0]))
    assert.equal("bc", ffi.string(texts[1]))
    assert.equal("", ffi.string(texts[2]))
    C.regex_literals(compile("a.*"), count)
    assert.equal(0, tonumber(count[0]))
    C.regex_literals(compile("(?i)a"), count)
    assert.equal(0, tonumber(count[0]))
  end)

  it("comes from the cache the second time", function()
    local err, cache = tide.error(), C.regex_cache_new(2)
    local first = C.regex_compile(cache, "a+", 2, err)
    local second = C.regex_compile(cache, "a+", 2, err)
    assert.is_true(first == second)
    for _, pattern in ipairs { "b", "c", "d" } do
      C.regex_unref(C.regex_compile(cache, pattern, 1, err))
    end
    local third = C.regex_compile(cache, "a+", 2, err)
    assert.is_true(third ~= first)
    for _, regex in ipairs { first, second, third } do C.regex_unref(regex) end
    C.regex_cache_free(cache)
  end)
end)
