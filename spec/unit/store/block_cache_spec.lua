-- The label cache: what it finds is what was put, in the order of arrival and out of it, under its
-- bound and after entries went.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("store/block_order.h", "store/block_cache.h")

local MIB = 1048576
local NOWHERE = 4294967295
local REFUSED = 0xffffff00

-- A cache in memory, cursors and keys of block texts for it.
local function with_cache(max_bytes, use)
  local memory = ffi.new("char[131072]") -- the struct is known to C only; it is smaller
  local address = ffi.cast("uintptr_t", memory)
  local cache = ffi.cast("struct block_cache *", (address + 63) / 64 * 64)
  C.block_cache_init(cache, max_bytes)
  local salt = C.block_cache_salt(cache, 1, "tenant", 6)
  local value = ffi.new("struct block_value")
  local self = { cache = cache }
  function self.key(i)
    local block = ('up{instance="host-%d",job="node"}'):format(i)
    return C.block_cache_key(cache, salt, block, #block)
  end
  function self.cursor()
    return ffi.new("struct block_cursor", NOWHERE, NOWHERE)
  end
  function self.put(cursor, i, id, now_s)
    C.block_cache_put(cache, cursor, self.key(i), now_s or 1,
      ffi.new("struct block_value", id, i % 7))
  end
  local function answer(found)
    return found and value.id or nil, found and value.generation or nil
  end
  function self.next(cursor, i, now_s)
    return answer(C.block_cache_next(cache, cursor, self.key(i), now_s or 1, value))
  end
  function self.find(cursor, i, now_s)
    return answer(C.block_cache_find(cache, cursor, self.key(i), now_s or 1, value))
  end
  function self.bytes()
    return tonumber(C.block_cache_bytes(cache))
  end
  function self.expire(now_s, age_s)
    local gone = 0
    for part = 0, 255 do
      gone = gone + tonumber(C.block_cache_expire(cache, part, now_s, age_s))
    end
    return gone
  end
  use(self)
  C.block_cache_destroy(cache)
end

describe("the label cache", function()
  it("expects the blocks of a push in the order of the last one, gaps and all", function()
    with_cache(4 * MIB, function(cache)
      local a, b = cache.cursor(), cache.cursor()
      for i = 1, 3000 do -- two senders whose pushes come in at the same time
        cache.put(a, i, i)
        cache.put(b, 100000 + i, 100000 + i)
      end
      for _, sender in ipairs { { a, 0 }, { b, 100000 } } do
        local cursor, base = sender[1], sender[2]
        assert.equal(base + 1, (cache.find(cursor, base + 1)))
        local expected = 0
        for i = 2, 3000 do
          if i % 10 ~= 0 then -- these are not sent any more
            local id, generation = cache.next(cursor, base + i)
            if id ~= nil then
              assert.same({ base + i, (base + i) % 7 }, { id, generation })
              expected = expected + 1
            end
          end
        end
        assert.equal(2700 - 1, expected)
        assert.is_nil((cache.next(cursor, base + 5)))
        assert.equal(base + 5, (cache.find(cursor, base + 5)))
        assert.equal(base + 6, (cache.next(cursor, base + 6)))
      end
    end)
  end)

  it("answers as a table does, whatever comes in which order", function()
    with_cache(16 * MIB, function(cache)
      local model, cursor, seed = {}, cache.cursor(), 7
      local function random(n)
        seed = seed * 16807 % 2147483647
        return seed % n + 1
      end
      for step = 1, 60000 do
        local i = random(5000)
        if random(3) == 1 then
          model[i] = random(10) == 1 and REFUSED + 4 or step
          cache.put(cursor, i, model[i])
        else
          local id = cache.next(cursor, i)
          if id ~= nil then
            assert.equal(model[i], id)
          end
          assert.equal(model[i], (cache.find(cursor, i)))
        end
      end
    end)
  end)

  it("keeps its bound, and what was used since the hand passed", function()
    with_cache(MIB, function(cache)
      local cursor, used = cache.cursor(), 200
      for i = 1, 60000 do
        cache.put(cursor, i, i)
        if i % 1000 == 0 then
          for k = 1, used do
            assert.equal(k, (cache.find(cursor, k)))
          end
        end
      end
      assert.is_true(cache.bytes() <= MIB, "bytes: " .. cache.bytes())
      local kept = 0
      for i = used + 1, 60000 do
        local id = cache.find(cursor, i)
        if id ~= nil then
          assert.equal(i, id)
          kept = kept + 1
        end
      end
      assert.is_true(kept > 15000 and kept < 30000, "kept: " .. kept)
    end)
  end)

  it("forgets what was not touched for a while and fills its places again", function()
    with_cache(4 * MIB, function(cache)
      local cursor = cache.cursor()
      for i = 1, 20000 do
        cache.put(cursor, i, i, 10)
      end
      assert.equal(1, (cache.find(cursor, 1, 10)))
      for i = 2, 5000 do
        assert.equal(i, (cache.next(cursor, i, 1000)))
      end
      cache.find(cursor, 1, 1000)
      assert.equal(0, cache.expire(3610, 3600))
      assert.equal(15000, cache.expire(3611, 3600))
      local bytes = cache.bytes()
      for i = 1, 20000 do
        assert.equal(i <= 5000 and i or nil, (cache.find(cursor, i, 3611)))
      end
      for i = 30001, 44900 do
        cache.put(cursor, i, i, 3611)
      end
      -- a shard of the index may grow, the entries take no new memory
      assert.is_true(cache.bytes() < bytes * 1.05, cache.bytes() .. " after " .. bytes)
      for i = 30001, 44900 do
        assert.equal(i, (cache.find(cursor, i, 3611)))
      end
    end)
  end)
end)
