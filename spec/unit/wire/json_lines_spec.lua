-- JSON lines in the dialect of VictoriaMetrics: read whole and in parts, and written.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/json_lines.h", "model/columns.h", "model/labels.h", "base/buf.h")

local function decode(body) return push.decode(body, C.json_lines_decode) end

local LINE = '{"metric":{"__name__":"up","job":"a"},"values":[0,1],' ..
  '"timestamps":[1549891472010,1549891487724]}'

describe("JSON lines", function()
  it("are read (the document's line)", function()
    local got = decode(LINE)
    assert.equal(0, got.refused)
    assert.equal('{__name__="up", job="a"}', got.series[1].labels)
    assert.same({ { 1549891472010, 0, bits = "0000000000000000" },
      { 1549891487724, 1, bits = "3ff0000000000000" } }, { got.series[1][1], got.series[1][2] })
  end)

  it("may have their keys in any order, blanks, and keys that nobody knows", function()
    local got = decode(' { "timestamps" : [ 1 , 2 ] , "x" : { "y" : [ "}" , { } , 1e5 ] } ,\r' ..
      '"z":null,"values":[-1.5e3,2],"metric":{ "__name__" : "a" }, "t":true} \r\n\n')
    assert.same({}, got.examples)
    assert.equal('{__name__="a"}', got.series[1].labels)
    assert.same({ 1, -1500, 2, 2 },
      { got.series[1][1][1], got.series[1][1][2], got.series[1][2][1], got.series[1][2][2] })
  end)

  it("carry NaN and infinities as null and strings", function()
    local got = decode('{"metric":{"__name__":"a"},"values":[null,"NaN","Infinity","-Infinity",' ..
      '"+Inf",NaN,+Inf,-Inf],"timestamps":[1,2,3,4,5,6,7,8]}')
    local bits = {}
    for i = 1, 8 do bits[i] = got.series[1][i].bits end
    assert.same({ "7ff8000000000001", "7ff8000000000001", "7ff0000000000000", "fff0000000000000",
      "7ff0000000000000", "7ff8000000000001", "7ff0000000000000", "fff0000000000000" }, bits)
  end)

  it("have JSON's escapes in labels", function()
    local got = decode([[{"metric":{"__name__":"a","b":"\"\\\/\n\u00fc\ud83d\ude00\ud800"},]] ..
      [["values":[1],"timestamps":[1]}]])
    assert.equal('{__name__="a", b="\\"\\\\/\\nü😀\239\191\189"}', got.series[1].labels)
  end)

  for labels, why in pairs {
    ['{"a":1}'] = 'expected labels as "name":"value" at column 6 of the labels: "1}"',
    ['{"a":"b",}'] = 'expected labels as "name":"value" at column 10 of the labels: "}"',
    ['{"a":"b" "c":"d"}'] = 'expected labels as "name":"value" at column 10 of the labels: ' ..
      '""c":"d"}"',
    ['{"a":"b","a":"c"}'] = 'label "a" is given twice',
    ['{"":"b"}'] = "empty label name",
    [ [[{"a":"\q"}]] ] = [[an escape that JSON does not have at column 10 of the labels: "}"]],
    [ [[{"a":"\""}x]] ] = 'expected nothing behind the labels at column 11 of the labels: "x"',
  } do
    it(("tell of new labels %s what is wrong, and keep the lines around"):format(labels), function()
      local got = decode(LINE .. '\n{"metric":' .. labels .. ',"values":[1],"timestamps":[1]}\n' ..
        LINE .. "\n")
      assert.same({ 0, 3 }, { got.refused, #got.series })
      assert.equal(why, got.series[2].problem)
      assert.is_truthy(got.series[3].labels)
    end)
  end

  it("find the end of labels whose texts hold braces, quotes and backslashes", function()
    for text, value in pairs { ["}"] = "}", ["{}}"] = "{}}", [ [[\"}]] ] = '"}', ["],"] = "],",
      [ [[\\]] ] = [[\]], [ [[}\\]] ] = [[}\]] } do
      local got = decode('{"metric":{"a":"' .. text .. '","b":"}"},"values":[1],"timestamps":[1]}')
      assert.equal(0, got.refused, got.examples[1] and got.examples[1].text)
      assert.equal(("{a=%q, b=\"}\"}"):format(value), got.series[1].labels)
    end
  end)

  it("count a line without samples as empty", function()
    local got = decode('{"metric":{"__name__":"a"},"values":[],"timestamps":[]}')
    assert.same({ 0, 0, 1 }, { #got.series, got.refused, got.skipped.empty })
  end)

  for body, why in pairs {
    ["[]"] = 'expected an object at column 1: "[]"',
    ["{"] = 'expected a string at column 2: ""',
    ['{"metric":[],"values":[1],"timestamps":[1]}'] =
      'expected an object of labels at column 11: "[],"values":[1],"timestamps":[1]}"',
    ['{"metric":{},"values":[1,2],"timestamps":[1]}'] =
      'values and timestamps are not equally many at column 46: ""',
    ['{"metric":{},"values":[1],"timestamps":[1,2]}'] =
      'values and timestamps are not equally many at column 44: "]}"',
    ['{"metric":{},"values":[1]}'] =
      '"metric", "values" or "timestamps" is missing at column 27: ""',
    ['{"metric":{},"values":[1],"values":[2],"timestamps":[1]}'] =
      'a second array of samples at column 36: "[2],"timestamps":[1]}"',
    ['{"metric":{},"values":[0x1],"timestamps":[1]}'] =
      'expected a number at column 24: "0x1],"timestamps":[1]}"',
    ['{"metric":{},"values":[Nan1],"timestamps":[1]}'] =
      'expected a number at column 24: "Nan1],"timestamps":[1]}"',
    ['{"metric":{},"values":[nope],"timestamps":[1]}'] =
      'expected a number at column 24: "nope],"timestamps":[1]}"',
    ['{"metric":{},"values":[1],"timestamps":["now"]}'] =
      'expected a time in milliseconds at column 41: ""now"]}"',
    ['{"metric":{},"values":[1],"timestamps":[1]} x'] =
      'expected nothing behind the object at column 45: "x"',
    ['{"metric":{"a":"b'] = 'a string without its closing quote at column 17: "b"',
    ['{"a":' .. ("["):rep(40)] = 'nested too deep at column 38: "' .. ("["):rep(8) .. '"',
    ['{"a":"\1"}'] = 'a control character in a string at column 7: "\1"}"',
  } do
    it(("refuse %q and keep the lines around"):format(body), function()
      local got = decode(LINE .. "\n" .. body .. "\n" .. LINE .. "\n")
      assert.equal(2, #got.series)
      assert.equal(4, got.samples)
      assert.same({ { line = 2, text = why } }, got.examples)
    end)
  end

  it("are decoded in parts of any size, with the numbers of their lines", function()
    local body = (LINE .. "\nbroken\n"):rep(3) .. LINE
    for size = 1, #body + 1, 7 do
      local line, used, from = ffi.new("uint32_t[1]"), ffi.new("size_t[1]"), 1
      local lines, series, window = {}, 0, size
      while from <= #body do
        local part = body:sub(from, from + window - 1)
        local got = push.decode(part, function(bytes, len, ...)
          return C.json_lines_decode_part(bytes, len, from + window > #body, line, used, ...)
        end)
        series = series + #got.series
        for _, example in ipairs(got.examples) do lines[#lines + 1] = example.line end
        from = from + tonumber(used[0])
        window = used[0] == 0 and window + size or size
      end
      assert.equal(4, series)
      assert.same({ 2, 4, 6 }, lines)
    end
  end)

  it("are written so that they can be read again", function()
    local body = '{"metric":{"__name__":"a","b":"x\\"ü\\n"},"values":[1.5,null,"Infinity",' ..
      '"-Infinity",-0,1e+21,3],"timestamps":[-1,2,3,4,5,6,7]}\n'
    local list = ffi.new("struct label[2]", { { "__name__", "a", 8, 1 }, { "b", 'x"ü\n', 1, 5 } })
    local labels = C.labels_new(list, 2, tide.error())
    local columns, out = ffi.new("struct columns"), ffi.new("struct buf")
    for i, value in ipairs { 1.5, 0 / 0, 1 / 0, -1 / 0, -0.0, 1e21, 3 } do
      C.columns_append(columns, i == 1 and -1 or i, value)
    end
    columns.values[4] = tide.double("8000000000000000")
    C.json_lines_put(out, labels, columns, 0, columns.len)
    local text = ffi.string(out.data, out.len)
    assert.equal(body, text)
    assert.equal(7, #decode(text).series[1])
    C.labels_unref(labels)
    C.columns_destroy(columns)
    C.buf_destroy(out)
  end)
end)
