-- Bodies of the log's records besides BATCH: what is written comes back, every cut is refused.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/buf.h", "disk/wal_record.h", "disk/wal_body.h")

local function bytes_of(put, record)
  local out = ffi.new("struct buf")
  put(out, record)
  local bytes = ffi.string(out.data, out.len)
  C.buf_destroy(out)
  return bytes
end

-- Reads it back, and none of its beginnings.
local function round_trip(put, get, destroy, record)
  local bytes = bytes_of(put, record)
  local back = ffi.new(ffi.typeof(record))
  assert.is_true(get(bytes, #bytes, back))
  for cut = 0, #bytes - 1 do
    local short = ffi.new(ffi.typeof(record))
    assert.is_false(get(bytes:sub(1, cut), cut, short))
  end
  local long = ffi.new(ffi.typeof(record))
  assert.is_false(get(bytes .. "x", #bytes + 1, long))
  assert.equal(bytes, bytes_of(put, back))
  return back, function() if destroy then destroy(back) end end
end

describe("wal_body", function()
  local EARLIEST, LATEST = -9223372036854775807LL - 1, 9223372036854775807LL

  it("keeps a checkpoint's mark", function()
    local back = round_trip(C.wal_mark_put, C.wal_mark_get, nil,
      ffi.new("struct wal_mark", { 7, 123456789012ULL, -5 }))
    assert.equal(7, tonumber(back.segment))
    assert.equal(-5, tonumber(back.heads_mtime_ns))
  end)

  it("keeps a delete with its trash and its series", function()
    local fps = ffi.new("uint64_t[3]", 1, 0xffffffffffffffffULL, 42)
    local record = ffi.new("struct wal_delete", { range = { EARLIEST, LATEST }, fps = fps,
      count = 3 })
    ffi.copy(record.trash_id, "20261128T120000Z-0123456789abcdef")
    local back, done = round_trip(C.wal_delete_put, C.wal_delete_get, C.wal_delete_destroy, record)
    assert.equal("20261128T120000Z-0123456789abcdef", ffi.string(back.trash_id))
    assert.is_true(back.range.from_ms == EARLIEST and back.range.to_ms == LATEST)
    assert.is_true(back.fps[1] == 0xffffffffffffffffULL and back.count == 3)
    done()
  end)

  it("keeps pending edits with every bit of their values", function()
    local ranges = ffi.new("struct wal_range[2]", { { -5, 10 }, { 20, LATEST } })
    local lates = ffi.new("struct wal_late[2]", { { 7, tide.double("7ff0000000000002"), 2 },
      { EARLIEST, -0.0, 1 } })
    local back, done = round_trip(C.wal_edits_put, C.wal_edits_get, C.wal_edits_destroy,
      ffi.new("struct wal_edits", { 99, ranges, 2, lates, 2 }))
    assert.equal("7ff0000000000002", tide.bits(back.lates[0].value))
    assert.equal(2, tonumber(back.lates[0].rule))
    assert.is_true(back.ranges[1].to_ms == LATEST and back.lates[1].time_ms == EARLIEST)
    done()
  end)

  it("keeps what a merge covers", function()
    local fps = ffi.new("uint64_t[1]", 5)
    local back, done = round_trip(C.wal_merged_put, C.wal_merged_get, C.wal_merged_destroy,
      ffi.new("struct wal_merged", { 1000, fps, 1 }))
    assert.equal(1000, tonumber(back.before))
    done()
  end)

  it("does not take more memory than the body can fill", function()
    local record = ffi.new("struct wal_edits")
    assert.is_false(C.wal_edits_get(("\0"):rep(8) .. "\255\255\255\255\127", 13, record))
  end)
end)
