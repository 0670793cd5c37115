-- Graphite lines, and samples written as text for federation.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/graphite.h", "wire/exposition_put.h", "wire/exposition.h",
  "model/labels.h", "base/buf.h")

local function decode(body) return push.decode(body, C.graphite_decode) end

describe("Graphite lines", function()
  for line, expected in pairs {
    ["servers.a.cpu 1.5 1700000000"] = { '{__name__="servers.a.cpu"}', 1700000000000, 1.5 },
    ["disk.used;dc=dc1;rack=a1 2 1700000000.5"] =
      { '{__name__="disk.used", dc="dc1", rack="a1"}', 1700000000500, 2 },
    ["a 1 -1"] = { '{__name__="a"}', push.now_ms, 1 },
    ["a 1"] = { '{__name__="a"}', push.now_ms, 1 },
    ["  a\t1   5 \r"] = { '{__name__="a"}', 5000, 1 },
  } do
    it(("reads %q"):format(line), function()
      local one = decode(line .. "\n").series[1]
      assert.same(expected, { one.labels, one[1][1], one[1][2] })
    end)
  end

  for line, why in pairs {
    ["a"] = 'the value is not a number: "a"',
    ["a b 1"] = 'the value is not a number: "a b 1"',
    ["a 1 now"] = 'the timestamp is not a number of seconds: "a 1 now"',
    ["a 1 -5"] = 'the timestamp is not a number of seconds: "a 1 -5"',
    ["a 1 2 3"] = 'more than path, value and timestamp: "a 1 2 3"',
  } do
    it(("refuses %q and keeps its neighbours"):format(line), function()
      local got = decode("x 1 1\n" .. line .. "\n\ny 2 2")
      assert.equal(2, got.samples)
      assert.same({ { line = 2, text = why } }, got.examples)
    end)
  end

  it("drop NaN and tell of wrong tags", function()
    assert.equal(1, decode("a nan 1").skipped.empty)
    for tags, why in pairs { ["a;b"] = 'tag "b" is not name=value',
      ["a;b="] = 'tag "b=" is not name=value', ["a;b=~c"] = 'tag "b=~c" is not name=value',
      ["a;b=c;b=d"] = 'label "b" is given twice', [";b=c"] = "the path is empty",
      ["a;"] = 'tag "" is not name=value' } do
      assert.equal(why, decode(tags .. " 1 1").series[1].problem)
    end
  end)
end)

describe("a sample as text", function()
  local function put(list, time, value, openmetrics)
    local labels_list, out = ffi.new("struct label[?]", #list), ffi.new("struct buf")
    for i, pair in ipairs(list) do labels_list[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] } end
    local labels = C.labels_new(labels_list, #list, tide.error())
    C.exposition_put_sample(out, labels, time, value, openmetrics)
    local text = ffi.string(out.data, out.len)
    C.labels_unref(labels)
    C.buf_destroy(out)
    return text
  end

  for expected, case in pairs {
    ["up 1 1700000000123\n"] = { { { "__name__", "up" } }, 1700000000123, 1 },
    ['a{b="x\\\\\\"\\n",c="d"} 1e+06 -5\n'] =
      { { { "__name__", "a" }, { "b", 'x\\"\n' }, { "c", "d" } }, -5, 1e6 },
    ['{"my.metric","l.x"="v"} NaN 5\n'] =
      { { { "__name__", "my.metric" }, { "l.x", "v" } }, 5, 0 / 0 },
    ['{"my.metric"} +Inf 5\n'] = { { { "__name__", "my.metric" } }, 5, 1 / 0 },
  } do
    it("is " .. expected:sub(1, -2), function()
      local text = put(case[1], case[2], case[3], false)
      assert.equal(expected, text)
      local got = push.decode(text, C.exposition_decode_text)
      assert.equal(case[2], got.series[1][1][1])
      assert.is_not_nil(got.series[1].labels)
    end)
  end

  it("has seconds in OpenMetrics", function()
    assert.equal("up 1 1700000000.123\n", put({ { "__name__", "up" } }, 1700000000123, 1, true))
  end)

  it("follows a TYPE line", function()
    local out = ffi.new("struct buf")
    C.exposition_put_type(out, "up", 2, false)
    C.exposition_put_type(out, "my.up", 5, true)
    assert.equal('# TYPE up untyped\n# TYPE "my.up" unknown\n', ffi.string(out.data, out.len))
    C.buf_destroy(out)
  end)
end)
