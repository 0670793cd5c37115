-- Text 0.0.4 and OpenMetrics 1.0: the edge cases and the table of the protocol document.
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/exposition.h")

local function text(body) return push.decode(body, C.exposition_decode_text) end
local function openmetrics(body) return push.decode(body, C.exposition_decode_openmetrics) end

-- Labels, time, value bits of the only sample of a line; or nil and what was wrong.
local function only(got)
  assert.is_nil(got.error)
  assert.is_true(#got.series + got.refused == 1, "one sample or one refusal")
  local series = got.series[1]
  if not series then return nil, got.examples[1].text end
  if not series.labels then return nil, series.problem end
  return series.labels, series[1][1], series[1].bits
end

local ONE = "3ff0000000000000"
local NAN = "7ff8000000000001"
local INF = "7ff0000000000000"

describe("text 0.0.4", function()
  local good = {
    -- the document's table
    { "a 1", '{__name__="a"}', push.now_ms, ONE },
    { "a{} 1 1395066363000", '{__name__="a"}', 1395066363000, ONE },
    { '  a{ b = "c" , } 1e3 ', '{__name__="a", b="c"}', push.now_ms, "408f400000000000" },
    { 'a{b="x\\\\y\\"z\\nw"} +Inf', '{__name__="a", b="x\\\\y\\"z\\nw"}', push.now_ms, INF },
    { '{"my.metric","l.x"="v"} 5', '{__name__="my.metric", "l.x"="v"}', push.now_ms,
      "4014000000000000" },
    { "a nan", '{__name__="a"}', push.now_ms, NAN },
    -- the edge cases
    { "a\t \t1\t2\t", '{__name__="a"}', 2, ONE },
    { '{__name__="a",b="c"} 1', '{__name__="a", b="c"}', push.now_ms, ONE },
    { 'a {b="c"} 1', '{__name__="a", b="c"}', push.now_ms, ONE },
    { 'a{b="c"}1', '{__name__="a", b="c"}', push.now_ms, ONE },
    { 'a{b="c"} 1 -3982045', '{__name__="a", b="c"}', -3982045, ONE },
    { "a 1\r", '{__name__="a"}', push.now_ms, ONE },
    { "a -Infinity", '{__name__="a"}', push.now_ms, "fff0000000000000" },
    { "a inf", '{__name__="a"}', push.now_ms, INF },
    { "a -NaN", '{__name__="a"}', push.now_ms, NAN },
    { "a .5", '{__name__="a"}', push.now_ms, "3fe0000000000000" },
    { "a 5.", '{__name__="a"}', push.now_ms, "4014000000000000" },
    { "a -0", '{__name__="a"}', push.now_ms, "8000000000000000" },
    { "a 0.1", '{__name__="a"}', push.now_ms, "3fb999999999999a" },
    { "a 9007199254740993", '{__name__="a"}', push.now_ms, "4340000000000000" },
    { "a 1.7976931348623157e308", '{__name__="a"}', push.now_ms, "7fefffffffffffff" },
    { "a 123456789.123456789", '{__name__="a"}', push.now_ms, "419d6f34547e6b75" },
    { 'a{b="}"} 1', '{__name__="a", b="}"}', push.now_ms, ONE },
    { 'a{b="{\\"}"} 1', '{__name__="a", b="{\\"}"}', push.now_ms, ONE },
    { 'a{b=""} 1', '{__name__="a"}', push.now_ms, ONE },
    { 'a{b="\\d"} 1', '{__name__="a", b="\\\\d"}', push.now_ms, ONE },
    { "a:b_9 1", '{__name__="a:b_9"}', push.now_ms, ONE },
    { 'a{b="ü # 1"} 1', '{__name__="a", b="ü # 1"}', push.now_ms, ONE },
    { '{"a"} 1', '{__name__="a"}', push.now_ms, ONE },
    { 'a{"b c"="d"} 1', '{__name__="a", "b c"="d"}', push.now_ms, ONE },
  }

  for _, case in ipairs(good) do
    it(("reads %q"):format(case[1]), function()
      for _, ending in ipairs { "\n", "" } do
        local labels, time, bits = only(text(case[1] .. ending))
        assert.equal(case[2], labels, time)
        assert.equal(case[3], time)
        assert.equal(case[4], bits)
      end
    end)
  end

  for line, why in pairs {
    ["a 0x10"] = 'not a number: "0x10"',
    ["a 1_0"] = 'not a number: "1_0"',
    ["a{b=c} 1"] = [[expected a value in double quotes at "c}" (byte 5)]],
    ['a{b="c} 1'] = [[expected a value in double quotes at ""c}" (byte 5)]],
    ["1a 2"] = 'expected a metric name at "1a" (byte 1)',
    ["a"] = 'no value: "a"',
    ["a{}"] = 'no value: "a{}"',
    ["a 1 2 3"] = 'more than a value and a timestamp: "a 1 2 3"',
    ["a 1 2.5"] = 'not a timestamp: "2.5"',
    ["a 1 99999999999999999999"] = 'not a timestamp: "99999999999999999999"',
    ["a 1e999"] = 'not a number: "1e999"',
    ["a ."] = 'not a number: "."',
    ["a -"] = 'not a number: "-"',
    ["a 1 # {b=\"c\"} 2"] =
      [[expected labels in braces at "1 # {b="c"}" (byte 3)]],
    ["a{,} 1"] = [[expected a label name at ",}" (byte 3)]],
    ['a{b="c",,} 1'] = [[expected a label name at ",}" (byte 9)]],
    ['a{b="c" d="e"} 1'] = [[expected ',' or '}' at "d="e"}" (byte 9)]],
    ['a{b="c",b="d"} 1'] = 'label "b" is given twice',
    ['a{"b"} 1'] = [[expected '=' at "}" (byte 6)]],
    ['{b="c"} 1'] = "the metric has no name",
    ['{__name__=""} 1'] = "the metric has no name",
    ['a{__name__="b"} 1'] = "label \"__name__\" is given twice",
    ['a{""="c"} 1'] = "empty label name",
    ['{""} 1'] = "the metric's name is empty",
    ["a\0 1"] = 'a NUL byte in the line: "a"',
    ["# TYPE a unknown"] = 'not a metric type: "unknown"',
    ["# TYPE a"] = 'not a metric type: ""',
  } do
    it(("refuses %q"):format(line), function()
      local labels, problem = only(text(line .. "\n"))
      assert.is_nil(labels)
      assert.equal(why, problem)
    end)
  end

  it("keeps the good samples around bad lines and says which these were", function()
    local got = text('# about nothing\n\n  \na 1\nb{} x\nc 3 4\n\nd\ne{x="1"} 5\n')
    assert.equal(3, got.samples)
    assert.same({ 4, 6, 9 }, { got.series[1].line, got.series[2].line, got.series[3].line })
    assert.equal(2, got.refused)
    assert.same({ { line = 5, text = 'not a number: "x"' }, { line = 8, text = 'no value: "d"' } },
      got.examples)
  end)

  it("refuses a raw line feed inside quotes", function()
    local got = text('a{b="x\ny"} 1\n')
    assert.equal(1, got.refused)
    assert.is_nil(got.series[1].labels)
  end)

  it("takes the text from name to brace as the block", function()
    assert.equal('a{b="c"}', text('a{b="c"} 1 2\n').series[1].block)
    assert.equal("a", text("a 1 2\n").series[1].block)
  end)

  it("tells HELP and TYPE, and takes other comments for comments", function()
    local got = text('# HELP a Says \\\\ and\\nmore \\" here\n' ..
      '#HELP b no\n#   TYPE a \t counter\n' ..
      '# TYPE "my.b" untyped\n# HELP\n# HELPless\n#\n# EOF\n# UNIT a s\na 1\n')
    assert.equal(0, got.refused)
    assert.equal(1, got.samples)
    assert.same({
      { name = "a", help = 'Says \\ and\nmore \\" here' },
      { name = "a", type = "counter" },
      { name = "my.b", type = "unknown" },
    }, got.metadata)
  end)

  it("takes an empty body", function() assert.equal(0, text("").refused) end)
end)

describe("OpenMetrics 1.0", function()
  local function one(line) return only(openmetrics(line .. "\n# EOF\n")) end

  for _, case in ipairs {
    { "a 1", '{__name__="a"}', push.now_ms, ONE },
    { 'a{b="c"} 1 1520879607.789', '{__name__="a", b="c"}', 1520879607789, ONE },
    { "a 1 1", '{__name__="a"}', 1000, ONE },
    { "a 1 -1.5", '{__name__="a"}', -1500, ONE },
    { "a 1 1.5e3", '{__name__="a"}', 1500000, ONE },
    { "a 1 0.0019", '{__name__="a"}', 1, ONE },
    { "a NaN", '{__name__="a"}', push.now_ms, NAN },
    { 'a{b="#"} 1 2', '{__name__="a", b="#"}', 2000, ONE },
    { '{"my.a",b="c"} 1', '{__name__="my.a", b="c"}', push.now_ms, ONE },
    { 'a{b="\\"\\\\"} 1', '{__name__="a", b="\\"\\\\"}', push.now_ms, ONE },
  } do
    it(("reads %q"):format(case[1]), function()
      local labels, time, bits = one(case[1])
      assert.equal(case[2], labels, time)
      assert.equal(case[3], time)
      assert.equal(case[4], bits)
    end)
  end

  for _, line in ipairs { "a  1", "a\t1", " a 1", "a 1 ", "", "a 1 NaN", "a 1 1 1",
    "# a comment", 'a 1 # {b="c"}', "a 1 #", 'a 1 # {b="c} 1', 'a 1 # {b="c"} 1 x',
    "# TYPE a untyped",
    "# UNIT a seconds", "a 0x1" } do
    it(("refuses %q"):format(line), function() assert.is_nil((one(line))) end)
  end

  it("counts exemplars, with and without times, beside both", function()
    local got = openmetrics('# TYPE foo histogram\nfoo_bucket{le="0.1"} 8 # {} 0.054\n' ..
      'foo_bucket{le="1"} 11 1.5 # {trace_id="K}O\\"5"} 0.67\n' ..
      'foo_bucket 17 # {trace_id="o"} 9.8 1520879607.789\n# EOF\n')
    assert.equal(0, got.refused)
    assert.equal(3, got.skipped.exemplars)
    assert.same({ { push.now_ms, 8 }, { 1500, 11 }, { push.now_ms, 17 } }, {
      { got.series[1][1][1], got.series[1][1][2] }, { got.series[2][1][1], got.series[2][1][2] },
      { got.series[3][1][1], got.series[3][1][2] } })
    assert.equal('{__name__="foo_bucket", le="1"}', got.series[2].labels)
  end)

  it("keeps _created of counters out, but not a gauge that is called so", function()
    local body = '# TYPE foo counter\nfoo_total 17\nfoo_created 1520872607.123\n' ..
      'foo_created{a="b"} 1\n# TYPE bar gauge\nbar_created 2\n# EOF'
    local got = openmetrics(body)
    assert.equal(2, #got.series)
    assert.equal(2, got.skipped.created)
    local kept = push.decode(body, function(bytes, len, state, ...)
      state.keep_created = true
      return C.exposition_decode_openmetrics(bytes, len, state, ...)
    end)
    assert.equal(4, #kept.series)
  end)

  it("tells HELP, TYPE and UNIT", function()
    local got = openmetrics('# TYPE a_seconds gaugehistogram\n# UNIT a_seconds seconds\n' ..
      '# HELP a_seconds say \\"hi\\"\\n\n# TYPE b stateset\n# UNIT b \n# EOF\n')
    assert.equal(0, got.refused)
    assert.same({
      { name = "a_seconds", type = "gaugehistogram" },
      { name = "a_seconds", unit = "seconds" },
      { name = "a_seconds", help = 'say "hi"\n' },
      { name = "b", type = "stateset" },
      { name = "b", unit = "" },
    }, got.metadata)
  end)

  it("says when # EOF is missing or not the last line, and keeps the samples", function()
    local got = openmetrics("a 1\nb 2\n")
    assert.equal(2, got.samples)
    assert.equal(3, got.examples[1].line)
    assert.equal('the body does not end in # EOF, it may be cut off: ""', got.examples[1].text)
    got = openmetrics("a 1\n# EOF\nb 2\nc 3\n")
    assert.equal(1, got.samples)
    assert.same({ { line = 3, text = 'more lines behind # EOF: "b 2"' } }, got.examples)
    assert.equal(0, openmetrics("# EOF").refused)
  end)
end)
