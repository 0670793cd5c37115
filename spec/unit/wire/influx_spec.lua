-- InfluxDB line protocol: escaping, types, precisions, names; the protocol document's section 13.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/influx.h")

local function decode(body, unit_ns)
  return push.decode(body, function(bytes, len, ...)
    return C.influx_decode(bytes, len, unit_ns or C.INFLUX_NANOSECONDS, ...)
  end)
end

-- { "labels = value", ... } of a body, or what was refused.
local function series(body)
  local got, out = decode(body), {}
  assert.is_nil(got.error)
  for i, one in ipairs(got.series) do out[i] = (one.labels or one.problem) .. " = " .. one[1][2] end
  for _, example in ipairs(got.examples) do out[#out + 1] = example.line .. ": " .. example.text end
  return out
end

C = setmetatable({ INFLUX_NANOSECONDS = 1, INFLUX_GUESS = 0 }, { __index = C })

describe("Influx lines", function()
  for line, expected in pairs {
    ["cpu,host=a usage=1.5 1700000000000000000"] = { '{__name__="cpu_usage", host="a"} = 1.5' },
    ["cpu value=2i"] = { '{__name__="cpu"} = 2' },
    ["cpu a=12u,b=-3i,c=1e3"] =
      { '{__name__="cpu_a"} = 12', '{__name__="cpu_b"} = -3', '{__name__="cpu_c"} = 1000' },
    ["cpu a=t,b=F,c=TRUE,d=false"] = { '{__name__="cpu_a"} = 1', '{__name__="cpu_b"} = 0',
      '{__name__="cpu_c"} = 1', '{__name__="cpu_d"} = 0' },
    ["my\\ cpu\\,x,the\\ tag=a\\,b\\=c\\ d load\\ 1=1"] =
      { '{__name__="my_cpu_x_load_1", the_tag="a,b=c d"} = 1' },
    ["net.if-in,if=eth0 9lives=1"] = { '{__name__="net_if_in_9lives", if="eth0"} = 1' },
    ["9net value=1"] = { '{__name__="_9net"} = 1' },
    [",a=b x=1"] = { '{__name__="x", a="b"} = 1' },
    ['m s="a, b=c \\" d \\\\",v=1'] = { '{__name__="m_v"} = 1' },
    ['m s="only text"'] = {},
    ["m,t=C:\\dir x=1"] = { '{__name__="m_x", t="C:\\\\dir"} = 1' },
    ["# comment\n\n   \nm x=1\r\n  m y=2 \n"] = { '{__name__="m_x"} = 1', '{__name__="m_y"} = 2' },
    ["m  x=1  5"] = { '{__name__="m_x"} = 1' },
    ["m,a=1,a=2 x=1"] = { 'label "a" is given twice = 1' },
    ["m,a= x=1"] = { 'tag "a=" is not name=value = 1' },
    ["m,a x=1"] = { 'tag "a" is not name=value = 1' },
    ["m"] = { '1: no fields: "m"' },
    ["m "] = { '1: no fields: "m "' },
    ["m x"] = { '1: a field is not name=value: "m x"' },
    ["m x=1,"] = { '1: a field is not name=value: "m x=1,"' },
    ["m =1"] = { '1: a field is not name=value: "m =1"' },
    ["m x=NaN"] = { "1: a field's value is not a number, boolean or string: \"m x=NaN\"" },
    ["m x=1.5i"] = { "1: a field's value is not a number, boolean or string: \"m x=1.5i\"" },
    ["m x=-1u"] = { "1: a field's value is not a number, boolean or string: \"m x=-1u\"" },
    ['m x="abc'] = { '1: a string without its closing quote: "m x="abc"' },
    ["m x=1 yesterday"] = { '1: not a timestamp behind the fields: "m x=1 yesterday"' },
    ["m x=1 1 2"] = { '1: not a timestamp behind the fields: "m x=1 1 2"' },
  } do
    it(("reads %q"):format(line), function() assert.same(expected, series(line)) end)
  end

  it("keep the good lines, and count the fields of bad ones", function()
    local got = decode("m x=1\nm a=1,b=2,c=oops 7\nm y=2\n")
    assert.equal(2, got.samples)
    assert.equal(3, got.refused)
    assert.equal(2, got.examples[1].line)
    assert.same({ 1, 3 }, { got.series[1].line, got.series[2].line })
  end)

  it("take a part of the line as block for the first field, the same bytes for others", function()
    local got = decode("m,a=b x=1,y=2 3")
    assert.equal("m,a=b x", got.series[1].block)
    assert.equal("m,a=b y", got.series[2].block)
  end)

  it("count strings", function() assert.equal(2, decode('m a="x",b=1,c="y"').skipped.texts) end)

  it("are of the time of arrival without a timestamp", function()
    assert.equal(push.now_ms, decode("m x=1").series[1][1][1])
  end)

  it("have times in the unit asked for, floored to milliseconds", function()
    local unit = ffi.new("int64_t[1]")
    for name, case in pairs {
      [""] = { "1700000000123999999", 1700000000123 }, ns = { "-1", -1 },
      u = { "1700000000123999", 1700000000123 }, ["µ"] = { "1999", 1 }, us = { "1000", 1 },
      ms = { "1700000000123", 1700000000123 }, s = { "1700000000", 1700000000000 },
      m = { "28333333", 1699999980000 }, h = { "472222", 1699999200000 },
      auto = { "1700000000", 1700000000000 },
    } do
      assert.is_true(C.influx_precision_parse(name, #name, unit), name)
      assert.equal(case[2], decode("m x=1 " .. case[1], unit[0]).series[1][1][1], name)
    end
    assert.is_false(C.influx_precision_parse("d", 1, unit))
    for text, ms in pairs { ["1700000000123"] = 1700000000123,
      ["1700000000123456"] = 1700000000123, ["1700000000123456789"] = 1700000000123 } do
      assert.equal(ms, decode("m x=1 " .. text, C.INFLUX_GUESS).series[1][1][1])
    end
    assert.equal(1, decode("m x=1 9223372036854775807", 3600000000000LL).refused)
    assert.equal(1, decode("m x=1 9223372036854775808").refused)
  end)

  it("are refused when their fields repeat far too many label bytes", function()
    local body = "m,a=" .. ("x"):rep(100000) .. " " .. ("f=1,"):rep(2000) .. "f=1"
    assert.equal("the fields of line 1 repeat too many label bytes", decode(body).error)
  end)
end)
