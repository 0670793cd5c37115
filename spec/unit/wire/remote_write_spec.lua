-- Remote write 1.0: the protocol document's vectors, odd but legal protobuf, and broken bodies.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/remote_write.h", "wire/snappy_block.h", "base/buf.h")

local MESSAGE = "0a2e0a0e0a085f5f6e616d655f5f120275700a0a0a036a6f621203617069" ..
  "121009000000000000f03f1080d095ffbc31"
local BLOCK = "30bc" .. MESSAGE

local function decode(hex) return push.decode(tide.unhex(hex), C.remote_write_decode) end

local function field(number, bytes)
  return string.char(number * 8 + 2, #bytes) .. bytes
end

local function label(name, value) return field(1, field(1, name) .. field(2, value)) end

local SAMPLE = field(2, tide.unhex("09000000000000f03f1080d095ffbc31"))

local function decode_series(...)
  local body = ""
  for _, series in ipairs { ... } do body = body .. field(1, series) end
  return push.decode(body, C.remote_write_decode)
end

describe("remote write 1.0", function()
  it("reads the document's message", function()
    local got = decode(MESSAGE)
    assert.is_nil(got.error)
    assert.equal(1, #got.series)
    assert.equal('{__name__="up", job="api"}', got.series[1].labels)
    assert.same({ { 1700000000000, 1, bits = "3ff0000000000000" } }, { unpack(got.series[1]) })
  end)

  it("takes the Label fields themselves as the block", function()
    local got = decode(MESSAGE)
    assert.equal("0a0e0a085f5f6e616d655f5f120275700a0a0a036a6f621203617069",
      tide.hex(got.series[1].block))
  end)

  it("takes an empty body as a probe", function()
    local got = decode("")
    assert.is_nil(got.error)
    assert.equal(0, #got.series)
  end)

  it("keeps the bits of a staleness marker", function()
    local got = decode_series(label("__name__", "a") ..
      field(2, tide.unhex("09020000000000f07f1001")))
    assert.equal("7ff0000000000002", got.series[1][1].bits)
    assert.equal(1, got.series[1][1][1])
  end)

  it("reads value 0 and time 0 that were left out, in any order, with unknown fields", function()
    local got = decode_series(
      label("__name__", "none") .. field(2, ""),
      label("__name__", "late") .. field(2, tide.unhex("1005" .. "090000000000000040" .. "7a0178")),
      label("__name__", "negative") .. field(2, tide.unhex("10ffffffffffffffffff01")))
    assert.equal(0, got.refused)
    assert.same({ 0, 0, bits = "0000000000000000" }, got.series[1][1])
    assert.same({ 5, 2, bits = "4000000000000000" }, got.series[2][1])
    assert.equal(-1, got.series[3][1][1])
  end)

  it("takes the last of a repeated singular field", function()
    local got = decode_series(label("__name__", "a") .. field(2, tide.unhex("10011002")))
    assert.equal(2, got.series[1][1][1])
  end)

  it("gathers labels that lie between samples", function()
    local got = decode_series(label("__name__", "a") .. SAMPLE .. label("b", "c") .. SAMPLE)
    assert.equal('{__name__="a", b="c"}', got.series[1].labels)
    assert.equal(2, #got.series[1])
    assert.equal(label("__name__", "a") .. label("b", "c"), got.series[1].block)
  end)

  it("reads labels that follow the samples", function()
    local got = decode_series(SAMPLE .. label("__name__", "a"))
    assert.equal('{__name__="a"}', got.series[1].labels)
  end)

  it("counts exemplars, native histograms and empty series, and stores none of them", function()
    local got = decode_series(
      label("__name__", "a") .. SAMPLE .. field(3, "") .. field(3, ""),
      label("__name__", "b") .. field(4, ""),
      label("__name__", "c"))
    assert.equal(1, #got.series)
    assert.same({ exemplars = 2, histograms = 1, created = 0, texts = 0, empty = 1 }, got.skipped)
  end)

  it("hands metadata on", function()
    local got = push.decode(field(3, tide.unhex("0801") .. field(2, "http_requests") ..
      field(4, "All of them.") .. field(5, "requests")) .. field(3, field(2, "b")),
      C.remote_write_decode)
    assert.same({
      { name = "http_requests", type = "counter", help = "All of them.", unit = "requests" },
      { name = "b", type = "unknown" },
    }, got.metadata)
    assert.equal(0, #got.series)
  end)

  it("refuses a broken series and keeps its neighbours", function()
    local good = label("__name__", "a") .. SAMPLE
    for name, bad in pairs {
      ["a cut sample"] = label("__name__", "b") .. SAMPLE .. field(2, "\9\0\0"),
      ["a group"] = label("__name__", "b") .. "\11\12",
      ["a length past the end"] = label("__name__", "b") .. "\10\127abc",
      ["a value that is no double"] = label("__name__", "b") .. field(2, "\8\1"),
      ["field number 0"] = label("__name__", "b") .. "\2\0",
      ["a varint of 11 bytes"] = label("__name__", "b") .. "\40" .. ("\255"):rep(10) .. "\1",
    } do
      local got = decode_series(good, bad, good)
      assert.is_nil(got.error)
      assert.equal(2, #got.series, name)
      assert.equal(2, got.samples, name)
      assert.is_true(got.refused >= 1, name)
      assert.equal("series 2 of the request is broken protobuf", got.examples[1].text)
    end
  end)

  it("refuses a body that is cut off or something else", function()
    for name, body in pairs {
      ["cut off"] = tide.unhex(MESSAGE):sub(1, 40),
      ["text"] = "# TYPE up gauge\nup 1\n",
      ["other text"] = "up 1\n",
      ["framed or not, snappy is not protobuf"] = tide.unhex(BLOCK),
    } do
      local got = push.decode(body, C.remote_write_decode)
      assert.is_not_nil(got.error, name)
    end
    assert.equal("not a remote write request: broken protobuf at byte 0 of 40",
      push.decode(tide.unhex(MESSAGE):sub(1, 40), C.remote_write_decode).error)
  end)

  it("does not take a 2.0 request for an empty one", function()
    local got = decode("220022085f5f6e616d655f5f2202757022036a6f6222036170692a1c0a0401020304" ..
      "121009000000000000f03f1080d095ffbc312a020802")
    assert.equal("this is a remote write 2.0 request; its Content-Type must say so", got.error)
  end)

  it("lets the label parser name a label that is given twice or has no name", function()
    assert.equal('label "a" is given twice',
      decode_series(label("a", "1") .. label("a", "2") .. SAMPLE).series[1].problem)
    assert.equal("empty label name", decode_series(label("", "1") .. SAMPLE).series[1].problem)
    assert.equal("label is broken protobuf",
      decode_series(field(1, "\10\9a") .. SAMPLE).series[1].problem)
  end)
end)

ffi.cdef [[
int snappy_uncompress(const char *block, size_t len, char *out, size_t *out_len);
int snappy_compress(const char *text, size_t len, char *block, size_t *block_len);
int snappy_uncompressed_length(const char *block, size_t len, size_t *result);
size_t snappy_max_compressed_length(size_t len);
]]

describe("a snappy block", function()
  local snappy = ffi.load("snappy.so.1")
  local out = ffi.new("struct buf")
  local function undo(bytes, max)
    local err = tide.error()
    if C.snappy_block_decode(bytes, #bytes, max or 1024, out, err) ~= 0 then
      return nil, tide.text(err), tonumber(err.code)
    end
    return ffi.string(out.data, out.len)
  end

  it("is undone (the document's block)", function()
    assert.equal(MESSAGE, tide.hex(undo(tide.unhex(BLOCK))))
    assert.equal("", undo("\0"))
  end)

  it("is made so that it can be undone", function()
    local text, block = ("tidemark "):rep(1000), ffi.new("struct buf")
    C.snappy_block_encode(text, #text, block)
    assert.is_true(block.len < 1000)
    assert.equal(text, undo(ffi.string(block.data, block.len), 10000))
    C.buf_destroy(block)
  end)

  -- Of snappy's own library: the result, or nil.
  local function undo_elsewhere(bytes)
    local len = ffi.new("size_t[1]")
    if snappy.snappy_uncompressed_length(bytes, #bytes, len) ~= 0 or len[0] > 2 ^ 24 then
      return nil
    end
    local result = ffi.new("char[?]", tonumber(len[0]) + 1)
    if snappy.snappy_uncompress(bytes, #bytes, result, len) ~= 0 then
      return nil
    end
    return ffi.string(result, len[0])
  end

  -- Text that repeats itself from near and far, and a block of it that the library made.
  local function made_elsewhere(random)
    local parts = {}
    for i = 1, random(60) do
      local kind = random(5)
      if kind == 1 and i > 1 then
        parts[i] = parts[random(i - 1)]
      elseif kind == 2 then -- a short pattern, again and again
        parts[i] = tostring(random(10 ^ random(9))):rep(random(30))
      elseif kind == 3 then
        parts[i] = ("instance=host-%d.example.net:9100"):format(random(30))
      else
        local bytes = {}
        for k = 1, kind == 4 and random(20) or random(300) do
          bytes[k] = string.char(random(256) - 1)
        end
        parts[i] = table.concat(bytes)
      end
    end
    local text = table.concat(parts)
    local len = ffi.new("size_t[1]", snappy.snappy_max_compressed_length(#text))
    local block = ffi.new("char[?]", tonumber(len[0]))
    assert.equal(0, snappy.snappy_compress(text, #text, block, len))
    return text, ffi.string(block, len[0])
  end

  it("is undone as snappy's own library does, whole, cut and broken", function()
    local seed, refused = 4711, 0
    local function random(n)
      seed = seed * 16807 % 2147483647
      return seed % n + 1
    end
    for _ = 1, 400 do
      local text, block = made_elsewhere(random)
      assert.equal(tide.hex(text), tide.hex(undo(block, 100000)))
      for _ = 1, 10 do
        local at = random(#block)
        local broken = random(8) == 1 and block:sub(1, at)
          or block:sub(1, at - 1) .. string.char(random(256) - 1) .. block:sub(at + 1)
        local expected = undo_elsewhere(broken)
        local result = undo(broken, 2 ^ 32)
        refused = refused + (expected == nil and 1 or 0)
        -- ours also refuses what no honest block declares
        if result ~= nil or (expected ~= nil and #expected < 22 * #broken) then
          assert.equal(expected, result)
        end
      end
    end
    assert.is_true(refused > 500, "broken: " .. refused)
  end)

  it("is refused by its declared size before anything is done", function()
    local _, text, code = undo(tide.unhex("ffffffff0f00"), 32 * 1024 * 1024)
    assert.equal("decompressed body of 4294967295 bytes is over 33554432", text)
    assert.equal(C.ERR_LIMIT, code)
    assert.equal("6 bytes of snappy cannot hold 33554432",
      select(2, undo(tide.unhex("808080100000"), 33554432)))
  end)

  it("is refused when it is framed, cut off, or lies", function()
    assert.equal("this is framed snappy; remote write takes the block format",
      select(2, undo(tide.unhex("ff060000734e61507059"))))
    assert.equal("not a snappy block: its length cannot be read", select(2, undo("")))
    assert.equal("broken snappy block of 49 bytes", select(2, undo(tide.unhex(BLOCK):sub(1, 49))))
    assert.equal("broken snappy block of 50 bytes",
      select(2, undo("\49" .. tide.unhex(BLOCK):sub(2))))
    -- a copy from offset 0
    assert.equal("broken snappy block of 4 bytes", select(2, undo(tide.unhex("04010000"))))
  end)
end)

describe("labels that a request adds", function()
  local function extra(only_absent, ...)
    local list = { ... }
    local labels = ffi.new("struct label[?]", #list)
    for i, pair in ipairs(list) do labels[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] } end
    local result = ffi.new("struct label_extra")
    result.list, result.count, result.only_absent = labels, #list, only_absent
    return result, labels, list
  end

  it("win over those of the series, or only fill gaps", function()
    local body = tide.unhex(MESSAGE)
    local winning, a, b = extra(false, { "job", "batch" }, { "zone", "x" })
    assert.equal('{__name__="up", job="batch", zone="x"}',
      push.decode(body, C.remote_write_decode, winning).series[1].labels)
    local filling, c, d = extra(true, { "job", "batch" }, { "zone", "x" })
    assert.equal('{__name__="up", job="api", zone="x"}',
      push.decode(body, C.remote_write_decode, filling).series[1].labels)
    assert.is_true(a ~= nil and b ~= nil and c ~= nil and d ~= nil)
    assert.are_not.equal(ffi.string(winning.salt.data, winning.salt.len),
      ffi.string(filling.salt.data, filling.salt.len))
    C.label_extra_destroy(winning)
    C.label_extra_destroy(filling)
  end)
end)
