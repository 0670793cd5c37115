-- Answers of the query API as JSON, read back by a JSON library and compared to the letter.
local cjson = require "cjson"
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("wire/result_json.h", "model/value.h", "model/labels.h", "model/columns.h",
  "base/buf.h", "base/mem.h")

local function text_of(buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

local function labels_of(list)
  local items = ffi.new("struct label[?]", #list + 1)
  for i, pair in ipairs(list) do items[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] } end
  return C.labels_new(items, #list, tide.error())
end

local function write(value, options)
  local result, out = ffi.new("struct result_json", { value = value }), ffi.new("struct buf")
  for name, setting in pairs(options or {}) do result[name] = setting end
  local pieces = 1
  while C.result_json_next(result, out, 1) do pieces = pieces + 1 end
  return text_of(out), pieces
end

describe("json_put_string", function()
  local function string(text)
    local out = ffi.new("struct buf")
    C.json_put_string(out, text, #text)
    return text_of(out)
  end

  it("escapes what JSON wants escaped", function()
    assert.equal([["a\"b\\c\nd\r\t\u0001]] .. '\127"', string('a"b\\c\nd\r\t\1\127'))
  end)

  it("keeps UTF-8 and replaces what is not", function()
    assert.equal('"ünï€😀"', string("ünï€😀"))
    assert.equal('"a\239\191\189b"', string("a\255b"))
    assert.equal('"\239\191\189\239\191\189"', string("\237\160")) -- half of a surrogate
  end)

  it("is read back by a JSON library, every byte below 128", function()
    local all = {}
    for byte = 0, 127 do all[#all + 1] = ("").char(byte) end
    local text = table.concat(all)
    assert.equal(text, cjson.decode("[" .. string(text) .. "]")[1])
  end)
end)

describe("result_json", function()
  it("writes a scalar and a string", function()
    local value = ffi.new("struct value", { type = C.VALUE_SCALAR, time_ms = 4000, scalar = 2 })
    assert.equal('{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}',
      (write(value)))
    value.type, value.text, value.text_len = C.VALUE_STRING, C.mem_dup("x\0y", 3), 3
    value.time_ms = 1435781451781LL
    assert.equal('{"status":"success","data":{"resultType":"string","result":' ..
      '[1435781451.781,"x\\u0000y"]}}', (write(value)))
    C.value_destroy(value)
  end)

  it("writes vectors and matrices series by series, empty ones as []", function()
    local value = ffi.new("struct value", { type = C.VALUE_VECTOR, time_ms = 1500 })
    assert.equal('{"status":"success","data":{"resultType":"vector","result":[]}}', (write(value)))
    C.value_add_series(value, labels_of { { "job", "a" }, { "__name__", "up" } }).value = -0.0
    C.value_add_series(value, labels_of {}).value = 0 / 0
    local text, pieces = write(value)
    assert.equal('{"status":"success","data":{"resultType":"vector","result":[' ..
      '{"metric":{"__name__":"up","job":"a"},"value":[1.500,"-0"]},' ..
      '{"metric":{},"value":[1.500,"NaN"]}]}}', text)
    assert.is_true(pieces > 1)
    C.value_destroy(value)

    value.type = C.VALUE_MATRIX
    local series = C.value_add_series(value, labels_of { { "a", "b" } })
    C.columns_append(series.samples, 1000, 1)
    C.columns_append(series.samples, 2001, 1 / 0)
    assert.equal('{"status":"success","data":{"resultType":"matrix","result":[' ..
      '{"metric":{"a":"b"},"values":[[1,"1"],[2.001,"+Inf"]]}]}}', (write(value)))
    C.value_destroy(value)
  end)

  it("adds stats, warnings and infos, and cuts at max_series", function()
    local value = ffi.new("struct value", { type = C.VALUE_VECTOR })
    for i = 1, 3 do C.value_add_series(value, labels_of { { "i", tostring(i) } }) end
    local stats = ffi.new("struct buf")
    local warnings = ffi.new("struct json_text[1]", { { "careful", 7 } })
    C.buf_puts(stats, '{"x":1}')
    local answer = cjson.decode((write(value, { max_series = 2, stats = stats, warnings = warnings,
      warning_count = 1 })))
    assert.equal(2, #answer.data.result)
    assert.equal(1, answer.data.stats.x)
    assert.same({ "careful" }, answer.warnings)
    assert.is_nil(answer.infos)
    C.buf_destroy(stats)
    C.value_destroy(value)
  end)

  it("writes lists of texts and of label sets", function()
    local list, out = ffi.new("struct list_json"), ffi.new("struct buf")
    C.list_json_begin(list, out)
    C.list_json_text(list, "a", 1)
    local labels = labels_of { { "x", "y" } }
    C.list_json_labels(list, labels)
    C.labels_unref(labels)
    C.list_json_end(list, "cut")
    assert.equal('{"status":"success","data":["a",{"x":"y"}],"warnings":["cut"]}', text_of(out))
  end)
end)
