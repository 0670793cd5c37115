-- What is free in the middle of the heap goes back to the system, and only when that is worth it.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/heap_trim.h")

ffi.cdef [[
void *malloc(size_t size);
void free(void *memory);
void *memset(void *memory, int byte, size_t size);
]]

local MIB = 1048576
local function resident()
  return tonumber(io.open("/proc/self/statm"):read("*a"):match("^%d+ (%d+)")) * 4096
end

-- Pieces of 4 KiB, each with a small one behind it that stays: no piece is at the heap's end.
local function burst(count)
  local pieces, stay = ffi.new("void *[?]", count), ffi.new("void *[?]", count)
  for i = 0, count - 1 do
    pieces[i], stay[i] = ffi.C.malloc(4096 * 4), ffi.C.malloc(32)
    ffi.C.memset(pieces[i], 1, 4096 * 4)
  end
  for i = 0, count - 1 do ffi.C.free(pieces[i]) end
  return stay
end

describe("trimming the heap", function()
  it("gives back what a burst has left, once", function()
    if os.getenv("SANITIZER") then return pending("a sanitizer has its own heap") end
    local trim = ffi.new("struct heap_trim")
    assert.equal(0, tonumber(C.heap_trim(trim)))
    local before = resident()
    local stay = burst(6400)
    local after = resident()
    assert.is_true(after - before > 90 * MIB, after - before)
    assert.is_true(tonumber(C.heap_trim(trim)) > 60 * MIB)
    assert.is_true(resident() - before < 40 * MIB, resident() - before)
    assert.equal(0, tonumber(C.heap_trim(trim)))
    for i = 0, 6399 do ffi.C.free(stay[i]) end
  end)

  it("leaves a small burst alone", function()
    local trim = ffi.new("struct heap_trim")
    assert.equal(0, tonumber(C.heap_trim(trim)))
    local stay = burst(640)
    assert.equal(0, tonumber(C.heap_trim(trim)))
    for i = 0, 639 do ffi.C.free(stay[i]) end
  end)
end)
