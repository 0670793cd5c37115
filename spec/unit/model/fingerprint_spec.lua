-- Fingerprints, unique strings and text forms against the vectors of the original.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("model/fingerprint.h", "model/labels.h", "base/buf.h")

local function labels_of(pairs_list)
  local list = ffi.new("struct label[?]", #pairs_list + 1)
  for i, pair in ipairs(pairs_list) do
    list[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] }
  end
  local err = tide.error()
  local labels = C.labels_new(list, #pairs_list, err)
  assert(labels ~= nil, tide.text(err))
  return labels
end

local function text_of(write, labels)
  local buf = ffi.new("struct buf")
  write(buf, labels)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

describe("fingerprint", function()
  local vectors = tide.vectors("vectors/fingerprints.json").metrics

  it("has vectors", function() assert.is_true(#vectors > 10) end)

  for i, metric in ipairs(vectors) do
    it("is that of the original for metric " .. i, function()
      local labels = labels_of(metric.labels)
      local hex = ffi.new("char[17]")
      C.fingerprint_format(hex, C.fingerprint_of(labels))
      assert.equal(metric.fast_fingerprint, ffi.string(hex))
      assert.equal(metric.unique_string_hex, tide.hex(text_of(C.fingerprint_unique_string, labels)))
      assert.equal(metric.metric_string, text_of(C.labels_format_metric, labels))
      C.labels_unref(labels)
    end)
  end
end)

describe("labels", function()
  it("are sorted, without empty values, and found by name", function()
    local labels = labels_of { { "z", "1" }, { "__name__", "up" }, { "gone", "" }, { "A", "2" } }
    assert.equal(3, tonumber(C.labels_count(labels)))
    assert.equal('{A="2", __name__="up", z="1"}', text_of(C.labels_format_set, labels))
    local found = ffi.new("struct label")
    assert.is_true(C.labels_find(labels, "z", 1, found))
    assert.equal("1", ffi.string(found.value, found.value_len))
    assert.is_false(C.labels_find(labels, "gone", 4, found))
    C.labels_unref(labels)
  end)

  it("refuse a name that is given twice", function()
    local list = ffi.new("struct label[2]", { { "a", "1", 1, 1 }, { "a", "2", 1, 1 } })
    local err = tide.error()
    assert.is_true(C.labels_new(list, 2, err) == nil)
    assert.equal('label "a" is given twice', tide.text(err))
  end)
end)
