-- Texts, positions and counts of annotations, by promql.md 18.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/buf.h", "promql/annotations.h")

local WARNING, INFO = 0, 1

local function texts(notes, kind, query)
  local list = {}
  for i = 1, tonumber(C.annotations_shown(notes, kind)) do
    local buf = ffi.new("struct buf")
    C.annotations_write(notes, kind, i - 1, query, query and #query or 0, buf)
    list[i] = ffi.string(buf.data, buf.len)
    C.buf_destroy(buf)
  end
  return list
end

local function with_notes(run)
  local notes = ffi.new("struct annotations")
  run(notes)
  C.annotations_destroy(notes)
end

describe("annotations", function()
  it("keep one entry per text, at the position added last", function()
    with_notes(function(notes)
      C.annotations_add(notes, INFO, "same", 4, 0)
      C.annotations_add(notes, INFO, "same", 4, 6)
      C.annotations_add(notes, WARNING, "same", 4, 2)
      assert.same({ "PromQL info: same (2:3)" }, texts(notes, INFO, "a +\n  foo\n"))
      assert.same({ "PromQL warning: same (1:3)" }, texts(notes, WARNING, "a +\n  foo\n"))
    end)
  end)
  it("show ten and count the rest", function()
    with_notes(function(notes)
      for i = 1, 500 do
        local text = "text " .. i % 250
        C.annotations_add(notes, WARNING, text, #text, 0)
      end
      local list = texts(notes, WARNING, "q")
      assert.equal(11, #list)
      assert.equal("PromQL warning: text 1 (1:1)", list[1])
      assert.equal("240 more warning annotations omitted", list[11])
    end)
  end)
  it("leave positions out when there is none", function()
    with_notes(function(notes)
      C.annotations_add_plain(notes, WARNING, "results truncated due to limit")
      assert.same({ "results truncated due to limit" }, texts(notes, WARNING, "q"))
    end)
  end)
  it("merge repairs of buckets", function()
    with_notes(function(notes)
      C.annotations_add_forced(notes, '"b"', 3, 2, 2, 0.5, 60000, 4)
      C.annotations_add_forced(notes, '"b"', 3, 1, 4, 120000, 0, 4)
      assert.same({ "PromQL info: input to histogram_quantile needed to be fixed for " ..
        "monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/" ..
        '#histogram_quantile) for metric name "b", from buckets 1 to 4, with a max diff of ' ..
        "1.2e+05, over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:5)" },
        texts(notes, INFO, "0123456"))
    end)
  end)
end)
