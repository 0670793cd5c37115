-- Memory of open heads: extents that grow, shrink, move and come back, against a model that keeps
-- their bytes as strings.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("store/extent.h", "store/slab.h")

local SLAB = 65536

local function generator(seed)
  local state = seed * 7919 % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

local function with_pool(use)
  local memory = ffi.new("char[65536]") -- the struct is known to C only; it is smaller
  local pool = ffi.cast("struct slab_pool *", memory)
  C.slab_pool_init(pool)
  use(pool)
  C.slab_pool_destroy(pool)
end

local function fill(text, bytes)
  local tail = ("%04d-%04d "):format(#text, bytes):rep(math.ceil(bytes / 10))
  return (text .. tail):sub(1, bytes)
end

-- One extent of the model: its place, group, size and what it has to hold.
local function resize(pool, extent, bytes)
  local place = C.extent_resize(pool, extent.group, extent.place, #extent.text, bytes)
  local kept = extent.text:sub(1, bytes)
  if bytes == 0 then
    assert.is_true(place == nil)
    extent.place, extent.text = nil, ""
    return
  end
  assert.equals(kept, ffi.string(place, #kept))
  extent.place, extent.text = place, fill(kept, bytes)
  ffi.copy(place, extent.text, bytes)
end

describe("extents", function()
  it("keep their bytes through any history of sizes", function()
    with_pool(function(pool)
      local random, extents = generator(11), {}
      for i = 1, 600 do extents[i] = { group = i % 4, text = "" } end
      for _ = 1, 30000 do
        local extent = extents[random(#extents)]
        resize(pool, extent, random(5) == 1 and 0 or random(1024))
      end
      for _, extent in ipairs(extents) do
        if extent.place then
          assert.equals(extent.text, ffi.string(extent.place, #extent.text))
        end
        resize(pool, extent, 0)
      end
      assert.is_true(tonumber(C.slab_pool_bytes(pool)) <= 4 * SLAB)
    end)
  end)

  it("that grow in step leave few holes", function()
    with_pool(function(pool)
      local extents, used = {}, 0
      for i = 1, 3000 do extents[i] = { group = 0, text = "" } end
      for size = 64, 448, 64 do
        for _, extent in ipairs(extents) do resize(pool, extent, size) end
      end
      for _, extent in ipairs(extents) do used = used + #extent.text end
      assert.is_true(tonumber(C.slab_pool_bytes(pool)) < 1.2 * used + 2 * SLAB)
      for _, extent in ipairs(extents) do resize(pool, extent, 0) end
    end)
  end)
end)
