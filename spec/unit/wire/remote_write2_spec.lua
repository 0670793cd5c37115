-- Remote write 2.0: the protocol document's vector, references, and what a series may not be.
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/remote_write2.h")

local MESSAGE = "220022085f5f6e616d655f5f2202757022036a6f6222036170692a1c0a0401020304" ..
  "121009000000000000f03f1080d095ffbc312a020802"

local function decode(body) return push.decode(body, C.remote_write2_decode) end

local function field(number, bytes)
  local len = #bytes < 128 and string.char(#bytes) or
    string.char(#bytes % 128 + 128, math.floor(#bytes / 128))
  return string.char(number * 8 + 2) .. len .. bytes
end

local SYMBOLS = field(4, "") .. field(4, "__name__") .. field(4, "up") .. field(4, "job") ..
  field(4, "api") .. field(4, "Says it.") .. field(4, "seconds")
local SAMPLE = field(2, tide.unhex("09000000000000f03f1080d095ffbc31"))

local function request(...)
  local body = SYMBOLS
  for _, series in ipairs { ... } do body = body .. field(5, series) end
  return decode(body)
end

describe("remote write 2.0", function()
  it("reads the document's message", function()
    local got = decode(tide.unhex(MESSAGE))
    assert.is_nil(got.error)
    assert.equal('{__name__="up", job="api"}', got.series[1].labels)
    assert.same({ 1700000000000, 1, bits = "3ff0000000000000" }, got.series[1][1])
    assert.same({ { name = "up", type = "gauge" } }, got.metadata)
  end)

  it("makes equal blocks for equal labels, whatever the symbols' numbers", function()
    local other = field(4, "") .. field(4, "api") .. field(4, "job") .. field(4, "up") ..
      field(4, "__name__") .. field(5, field(1, "\4\3\2\1") .. SAMPLE)
    assert.equal(decode(tide.unhex(MESSAGE)).series[1].block, decode(other).series[1].block)
  end)

  it("reads references that are not packed, and symbols behind the series", function()
    local got = decode(field(5, "\8\1\8\2" .. SAMPLE) .. SYMBOLS)
    assert.equal('{__name__="up"}', got.series[1].labels)
  end)

  it("hands help and unit on", function()
    local got = request(field(1, "\1\2") .. SAMPLE .. field(5, "\8\1\24\5\32\6"))
    assert.same({ { name = "up", type = "counter", help = "Says it.", unit = "seconds" } },
      got.metadata)
  end)

  it("counts histograms and exemplars", function()
    local got = request(field(1, "\1\2") .. field(3, ""),
      field(1, "\1\2") .. SAMPLE .. field(4, ""))
    assert.equal(1, #got.series)
    assert.equal(0, got.refused)
    assert.equal(1, got.skipped.histograms)
    assert.equal(1, got.skipped.exemplars)
  end)

  for name, case in pairs {
    ["a reference past the table"] = { field(1, "\1\99") .. SAMPLE,
      "refers to a symbol past the table" },
    ["an odd number of references"] = { field(1, "\1\2\3") .. SAMPLE,
      "has an odd number of label references" },
    ["samples and histograms"] = { field(1, "\1\2") .. SAMPLE .. field(3, ""),
      "has both samples and histograms" },
    ["neither"] = { field(1, "\1\2"), "has neither samples nor histograms" },
    ["a cut sample"] = { field(1, "\1\2") .. field(2, "\9\0"), "is broken protobuf" },
    ["too many labels"] = { field(1, ("\1\2"):rep(257)) .. SAMPLE, "has more than 256 labels" },
  } do
    it("refuses a series with " .. name .. " and keeps the others", function()
      local got = request(field(1, "\1\2") .. SAMPLE, case[1], field(1, "\3\4") .. SAMPLE)
      assert.is_nil(got.error)
      assert.equal(2, #got.series)
      assert.equal(2, got.samples)
      assert.equal(1, got.refused)
      assert.equal("series 2 of the request " .. case[2], got.examples[1].text)
    end)
  end

  it("refuses a 1.0 body, a first symbol that is not empty, and cut bodies", function()
    assert.equal("this is a remote write 1.0 request with the Content-Type of 2.0",
      decode(field(1, "")).error)
    assert.equal("the first symbol is not the empty one", decode(field(4, "a")).error)
    assert.equal("not a remote write 2.0 request: broken protobuf at byte 26 of 50",
      decode(tide.unhex(MESSAGE):sub(1, 50)).error)
    assert.is_nil(decode("").error)
  end)

  it("refuses labels that unfold to far more than the body", function()
    local big = field(4, "") .. field(4, ("x"):rep(16000))
    local series = field(5, field(1, ("\1"):rep(500)) .. SAMPLE)
    assert.equal("the labels of this request unfold to too many bytes",
      decode(big .. series:rep(10)).error)
    assert.is_nil(decode(big .. series:rep(2)).error)
  end)
end)
