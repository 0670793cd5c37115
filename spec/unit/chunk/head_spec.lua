-- Heads: memory in small steps, snapshots at any moment, and a second life after a restart.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local chunks = require "spec.unit.chunk.chunks"
local C = chunks.C

local function snapshot(head)
  local out = ffi.new("uint8_t[1024]")
  local len = C.chunk_head_snapshot(head, out)
  assert.equal(tonumber(C.chunk_head_bytes(head)), tonumber(len))
  return ffi.string(out, len)
end

-- Sample pairs of a payload as one string, to compare.
local function samples_of(encoding, bytes, from, to)
  local times, values, count = chunks.read(encoding, bytes, from, to, 64)
  assert(times, values)
  local words = ffi.new("uint64_t[?]", 2 * count + 1)
  for i = 0, count - 1 do
    words[2 * i], words[2 * i + 1] = times[i], chunks.bits(values, i)
  end
  return ffi.string(words, 16 * count), count
end

describe("a head", function()
  it("is one cache line", function() assert.equal(64, ffi.sizeof("struct chunk_head")) end)

  it("takes no buffer for two samples and 64 bytes for ten", function()
    local err, writer = tide.error(), chunks.writer("exact", 2)
    local head = chunks.head(2)
    assert.equal(0, C.chunk_head_append(head, writer, 1000, 5, err))
    assert.equal(0, C.chunk_head_append(head, writer, 2000, 7, err))
    assert.is_true(head.bytes == nil)
    for i = 3, 10 do
      assert.equal(0, C.chunk_head_append(head, writer, 1000 * i + i % 3, 5 * i, err))
    end
    assert.equal(64, head.room_32 * 32)
    assert.equal(10000 + 1, tonumber(head.last_ms))
    assert.equal(50, head.last_value)
    C.chunk_head_destroy(head, writer)
    assert.is_true(head.bytes == nil)
    assert.equal(0, head.used)
  end)

  it("asks for memory in few sizes, each a fifth or so more, and gives it back", function()
    local sizes = { [0] = true }
    for size in ("64 96 128 160 192 224 256 320 384 448 512 640 768 896 1024"):gmatch("%d+") do
      sizes[tonumber(size)] = true
    end
    local live, calls = 0, 0
    local resize = ffi.cast("void *(*)(void *, void *, size_t, size_t)", function(_, old, had, want)
      had, want = tonumber(had), tonumber(want)
      assert(sizes[had] and sizes[want])
      calls = calls + 1
      live = live - had + want
      return C.chunk_resize_heap(nil, old, had, want)
    end)
    for encoding = 0, 2 do
      local writer, head = chunks.writer("exact", encoding), chunks.head(encoding)
      writer.resize = resize
      for seed = 1, 30 do
        local times, values, n = chunks.seeded(seed)
        local list, refused = chunks.append(head, writer, times, values, n)
        assert.is_nil(refused)
        assert.is_true(#list > 0)
        assert.equal(head.room_32 * 32, live)
        C.chunk_head_destroy(head, writer)
        assert.equal(0, live)
      end
    end
    assert.is_true(calls > 90)
    resize:free()
  end)

  it("gives snapshots that hold all samples so far", function()
    for encoding = 0, 2 do
      for seed = 1, 12 do
        local times, values, n = chunks.seeded(seed)
        local writer, head = chunks.writer("original", encoding), chunks.head(encoding)
        for i = 0, math.min(n, 200) - 1 do
          local list = chunks.append(head, writer, times + i, values + i, 1)
          local open = list[#list]
          local whole, count = samples_of(encoding, open.payload)
          local part = snapshot(head)
          assert.equal(whole, samples_of(encoding, part))
          local copy = ffi.cast("const uint64_t *", whole)
          assert.equal(tonumber(head.last_ms), tonumber(ffi.cast("int64_t", copy[2 * count - 2])))
          -- A snapshot is exactly as long as it must be.
          assert.is_nil((chunks.read(encoding, part:sub(1, -2))))
        end
        C.chunk_head_destroy(head, writer)
      end
    end
  end)

  it("goes on after a load as if nothing had happened", function()
    for encoding = 0, 2 do
      for _, mode in ipairs { "original", "exact" } do
        for seed = 1, 60 do
          local times, values, n = chunks.seeded(seed)
          local writer = chunks.writer(mode, encoding)
          local whole = chunks.append(chunks.head(encoding), writer, times, values, n)
          local head, pieces, at = chunks.head(encoding), {}, 0
          local err = tide.error()
          while at < n do
            local step = math.min(n - at, 1 + (seed * 7 + at) % 90)
            local list = chunks.append(head, writer, times + at, values + at, step)
            for i = 1, #list - 1 do pieces[#pieces + 1] = list[i].payload end
            at = at + step
            -- The original's 2^24 ms quirk makes payloads that are refused, as they must be.
            local again = chunks.head(encoding)
            if C.chunk_head_load(again, writer, encoding, chunks.payload(head), err) == 0 then
              assert.equal(0, again.sealed)
              assert.equal(tide.bits(head.last_value), tide.bits(again.last_value))
              assert.equal(tonumber(head.first_ms), tonumber(again.first_ms))
              assert.equal(tonumber(head.last_ms), tonumber(again.last_ms))
              C.chunk_head_destroy(head, writer)
              head = again
            end
          end
          pieces[#pieces + 1] = chunks.payload(head)
          assert.equal(#whole, #pieces)
          for i, payload in ipairs(pieces) do
            assert.is_true(payload == whole[i].payload, ("chunk %d of seed %d, encoding %d, %s")
              :format(i, seed, encoding, mode))
          end
          C.chunk_head_destroy(head, writer)
        end
      end
    end
  end)

  it("is sealed when a loaded footer contradicts the samples", function()
    local times, values, n = chunks.seeded(2)
    local writer = chunks.writer("exact", 2)
    local list = chunks.write(times, values, 40, 2, 2, "exact")
    assert.is_true(n > 40)
    assert.equal(1, #list)
    local err, sealed = tide.error(), 0
    local good = list[1].payload
    for byte = 1016, 1024 do
      local bad = good:sub(1, byte - 1) .. string.char(bit.bxor(good:byte(byte), 0x55)) ..
        good:sub(byte + 1)
      local head = chunks.head(2)
      assert.equal(0, C.chunk_head_load(head, writer, 2, bad, err))
      assert.is_true(bad == chunks.payload(head))
      sealed = sealed + head.sealed
      local was = head.sealed
      local after = chunks.append(head, writer, times + 40, values + 40, 1)
      assert.equal(1 + was, #after)
      assert.is_true(was == 0 or after[1].payload == bad)
      C.chunk_head_destroy(head, writer)
    end
    assert.is_true(sealed >= 4)
  end)

  it("refuses what chunk_check refuses, and is empty then", function()
    local err, writer, head = tide.error(), chunks.writer("exact", 2), chunks.head(2)
    assert.equal(-1, C.chunk_head_load(head, writer, 2, ("\0"):rep(1024), err))
    assert.equal(0, head.used)
    assert.equal("varbit chunk without a sample", tide.text(err))
    assert.equal(-1, C.chunk_head_load(head, writer, 3, ("\0"):rep(1024), err))
    assert.equal("unknown chunk encoding 3", tide.text(err))
    -- Two samples at the same time.
    local times, values = ffi.new("int64_t[2]", { 5, 5 }), ffi.new("double[2]", { 1, 2 })
    local same = chunks.write(times, values, 2, 1, 1, "exact")
    assert.equal(-1, C.chunk_head_load(head, writer, 1, same[1].payload, err))
    assert.matches("sample 1 at 5 ms is not after 5 ms", tide.text(err))
  end)

  it("is as it was after a sample that comes too early", function()
    for encoding = 0, 2 do
      local err, writer, head = tide.error(), chunks.writer("exact", encoding),
        chunks.head(encoding)
      local times, values = chunks.seeded(3)
      chunks.append(head, writer, times, values, 1)
      local before = chunks.payload(head)
      assert.equal(-1, C.chunk_head_append(head, writer, times[0] - 1, 1, err))
      assert.is_true(before == chunks.payload(head))
      assert.matches("does not follow", tide.text(err))
      C.chunk_head_destroy(head, writer)
    end
  end)
end)

describe("a reader", function()
  it("returns the samples of a time range, both ends included", function()
    for encoding = 0, 2 do
      for seed = 1, 20 do
        local times, values, n = chunks.seeded(seed)
        for _, chunk in ipairs(chunks.write(times, values, n, encoding, encoding, "exact")) do
          local all_times, _, count = chunks.read(chunk.encoding, chunk.payload)
          local all = samples_of(chunk.encoding, chunk.payload)
          for _, range in ipairs { { 0, 0 }, { 0.2, 0.7 }, { 0.5, 0.5 }, { 0.9, 1 } } do
            local first = math.floor(range[1] * (count - 1))
            local last = math.floor(range[2] * (count - 1))
            assert.equal(all:sub(16 * first + 1, 16 * (last + 1)),
              (samples_of(chunk.encoding, chunk.payload, all_times[first], all_times[last])))
            if first > 0 then
              assert.equal(all:sub(16 * first + 1, 16 * (last + 1)),
                (samples_of(chunk.encoding, chunk.payload, all_times[first - 1] + 1,
                  all_times[last])))
            end
          end
          local _, none = samples_of(chunk.encoding, chunk.payload, all_times[count - 1] + 1)
          assert.equal(0, none)
          _, none = samples_of(chunk.encoding, chunk.payload, nil, all_times[0] - 1)
          assert.equal(0, none)
        end
      end
    end
  end)

  it("survives flipped bytes in every place", function()
    for encoding = 0, 2 do
      for seed = 1, 6 do
        local times, values, n = chunks.seeded(seed)
        local payload = chunks.write(times, values, n, encoding, encoding, "exact")[1].payload
        local err, writer, head = tide.error(), chunks.writer("exact", encoding),
          chunks.head(encoding)
        local refused = 0
        for byte = 1, 1024 do
          local bad = payload:sub(1, byte - 1) ..
            string.char(bit.bxor(payload:byte(byte), 2 ^ (byte % 8))) .. payload:sub(byte + 1)
          if C.chunk_head_load(head, writer, encoding, bad, err) ~= 0 then
            refused = refused + 1
          else
            chunks.append(head, writer, times + n - 1, values + n - 1, 1)
          end
          chunks.read(encoding, bad)
          C.chunk_head_destroy(head, writer)
        end
        assert.is_true(refused > 0)
      end
    end
  end)
end)
