-- Numbers as text: the rules of the Prometheus API and Go's shortest form.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/number.h")

local out = ffi.new("char[32]")
local function api(value) return ffi.string(out, C.number_format_api(out, value)) end
local function go(value) return ffi.string(out, C.number_format_go(out, value)) end
local function seconds(ms) return ffi.string(out, C.number_format_seconds(out, ms)) end

local function parse(text)
  local value, overflowed = ffi.new("double[1]"), ffi.new("bool[1]")
  if not C.number_parse(text, #text, value, overflowed) then return nil end
  return value[0], overflowed[0]
end

describe("number_format_plain", function()
  local cases = {
    { 1e21, "1000000000000000000000" }, { 1e-7, "0.0000001" }, { -1.5e-9, "-0.0000000015" },
    { 1.25e23, "125000000000000000000000" }, { 123456.789, "123456.789" }, { -0.0, "-0" },
    { 0.5, "0.5" }, { 2 ^ 63, "9223372036854776000" }, { 1 / 0, "+Inf" }, { 8, "8" },
  }
  for _, case in ipairs(cases) do
    it("prints " .. case[2], function()
      local room = ffi.new("char[352]")
      assert.equal(case[2], ffi.string(room, C.number_format_plain(room, case[1])))
    end)
  end
end)

describe("number_format_api", function()
  local cases = {
    { 0, "0" }, { -0.0, "-0" }, { 1, "1" }, { 0.1, "0.1" }, { 1e6, "1000000" },
    { 1e-6, "0.000001" }, { 1e-7, "1e-07" }, { 9.9e-7, "9.9e-07" },
    { 1e20, "100000000000000000000" },
    { 1e21, "1e+21" }, { 1.5e300, "1.5e+300" }, { -2.5, "-2.5" }, { 1 / 0, "+Inf" },
    { -1 / 0, "-Inf" }, { 0 / 0, "NaN" }, { 5e-324, "5e-324" },
    { 1.7976931348623157e308, "1.7976931348623157e+308" }, { 123456789.123, "123456789.123" },
    { 2 ^ 53, "9007199254740992" }, { 2 ^ 63, "9223372036854776000" },
    { 0.30000000000000004, "0.30000000000000004" },
  }
  for _, case in ipairs(cases) do
    it("prints " .. case[2], function() assert.equal(case[2], api(case[1])) end)
  end
end)

describe("number_format_go", function()
  it("prints what Go printed for every sample value of a fixture", function()
    local seen = 0
    for _, series in ipairs(tide.vectors("prom1x/clean-doubledelta.expected.json").series) do
      for _, sample in ipairs(series.samples) do
        seen = seen + 1
        local value = tide.double(sample[3])
        if value == value then assert.equal(sample[2], go(value)) end
      end
    end
    assert.is_true(seen > 1000)
  end)
end)

describe("number_format_seconds", function()
  it("has three decimals or none", function()
    assert.equal("1435781451.781", seconds(1435781451781))
    assert.equal("1435781451", seconds(1435781451000))
    assert.equal("1435781451.051", seconds(1435781451051))
    assert.equal("-0.001", seconds(-1))
    assert.equal("-9223372036854775.808", seconds(-9223372036854775807LL - 1))
  end)
end)

describe("number_parse", function()
  local good = {
    { "1", 1 }, { "+1.5e3", 1500 }, { ".5", 0.5 }, { "5.", 5 }, { "-Inf", -1 / 0 },
    { "infinity", 1 / 0 }, { "+inf", 1 / 0 }, { "1e-400", 0 }, { "0.1", 0.1 },
  }
  for _, case in ipairs(good) do
    it("reads " .. case[1], function() assert.equal(case[2], (parse(case[1]))) end)
  end

  for _, text in ipairs { "", "+", "0x10", "1_0", "1e", "1 ", " 1", "nanx", "--1", "1e5x",
    "e5", "." } do
    it("refuses " .. ("%q"):format(text), function() assert.is_nil(parse(text)) end)
  end

  it("says when a number is too large", function()
    local value, overflowed = parse("-1e400")
    assert.equal(-1 / 0, value)
    assert.is_true(overflowed)
  end)

  it("reads NaN as the NaN of Prometheus", function()
    assert.equal("7ff8000000000001", tide.bits((parse("NaN"))))
  end)
end)
