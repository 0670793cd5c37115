-- Every chunk of the original: its samples are read, and its bytes are written again.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local chunks = require "spec.unit.chunk.chunks"
local C = chunks.C

-- What a case decodes to: the samples put in, and where the original was lossy what it reads.
local function expected_of(case)
  local times, values, n = chunks.samples(case)
  n = case.add_error and case.add_error_index or n
  local bits = ffi.cast("uint64_t *", values)
  local want_times, want_bits = {}, {}
  for i = 0, n - 1 do
    want_times[i], want_bits[i] = times[i], bits[i]
  end
  for _, differing in ipairs(case.decoded_differs or {}) do
    want_times[differing[1]] = differing[2] + 0LL
    want_bits[differing[1]] = tide.hex64(differing[3])
  end
  return want_times, want_bits, n
end

local function check_reader(case)
  local want_times, want_bits, total = expected_of(case)
  for _, room in ipairs { 4096, 7 } do
    local at = 0
    for _, chunk in ipairs(case.chunks) do
      local times, values, count = chunks.read(chunk.encoding, chunks.padded(chunk.hex), nil, nil,
        room)
      assert(times, values)
      assert.equal(chunk.samples, count)
      for i = 0, count - 1 do
        if times[i] ~= want_times[at] or chunks.bits(values, i) ~= want_bits[at] then
          error(("sample %d is %s %s, wanted %s %s"):format(at, times[i],
            tide.bits(values[i]), want_times[at], bit.tohex(want_bits[at])))
        end
        at = at + 1
      end
    end
    assert.equal(total, at)
  end
end

local function check_writer(case)
  local times, values, n = chunks.samples(case)
  local list, refused = chunks.write(times, values, n, case.start_encoding, case.default_encoding,
    "original")
  if case.add_error then
    assert.equal(case.add_error_index, refused)
  else
    assert.is_nil(refused)
  end
  assert.equal(#case.chunks, #list)
  for i, chunk in ipairs(case.chunks) do
    assert.equal(chunk.encoding, list[i].encoding)
    if chunks.padded(chunk.hex) ~= list[i].payload then
      error(("chunk %d of %d:\nwanted %s\ngot    %s"):format(i, #list, chunk.hex,
        (tide.hex(list[i].payload):gsub("00+$", ""))))
    end
    assert.equal(chunk.first_time, list[i].first)
    assert.equal(chunk.last_time, list[i].last)
  end
end

local function check_bounds(case)
  local err = tide.error()
  local first, last = ffi.new("int64_t[1]"), ffi.new("int64_t[1]")
  for _, chunk in ipairs(case.chunks) do
    local payload = chunks.padded(chunk.hex)
    assert.equal(0, C.chunk_bounds(chunk.encoding, payload, 1024, first, last, err))
    assert.equal(chunk.first_time, tonumber(first[0]))
    assert.equal(chunk.last_time, tonumber(last[0]))
  end
end

for _, file in ipairs { "chunks.json", "chunks_edges.json" } do
  local cases = tide.vectors("vectors/" .. file).cases
  describe(file, function()
    it("has cases", function() assert.is_true(#cases >= 200) end)
    for _, case in ipairs(cases) do
      it("reads " .. case.name, function() check_reader(case) end)
      it("writes " .. case.name, function() check_writer(case) end)
      it("bounds " .. case.name, function() check_bounds(case) end)
    end
  end)
end

describe("chunks_seeded.json", function()
  local vectors = tide.vectors("vectors/chunks_seeded.json").vectors

  it("has 600 vectors", function() assert.equal(600, #vectors) end)

  for _, vector in ipairs(vectors) do
    it(("seed %s in encoding %s"):format(vector.seed, vector.encoding), function()
      local times, values, n = chunks.seeded(tonumber(vector.seed))
      assert.equal(tonumber(vector.samples), n)
      local list, refused = chunks.write(times, values, n, tonumber(vector.encoding),
        tonumber(vector.encoding), "original")
      assert.is_nil(refused)
      assert.equal(tonumber(vector.chunks), #list)
      local written, read = {}, {}
      for i, chunk in ipairs(list) do
        written[i] = string.char(chunk.encoding) .. chunk.payload
        local got_times, got_values, count = chunks.read(chunk.encoding, chunk.payload)
        assert(got_times, got_values)
        local words = ffi.new("uint64_t[?]", 2 * count + 1)
        for k = 0, count - 1 do
          words[2 * k] = bit.bswap(ffi.cast("uint64_t", got_times[k]))
          words[2 * k + 1] = bit.bswap(chunks.bits(got_values, k))
        end
        read[i] = ffi.string(words, 16 * count)
      end
      assert.equal(vector.chunks_sha256, chunks.sha256(table.concat(written)))
      assert.equal(vector.decoded_sha256, chunks.sha256(table.concat(read)))
    end)
  end
end)

describe("chunks_malformed.json", function()
  for _, case in ipairs(tide.vectors("vectors/chunks_malformed.json").cases) do
    it("survives " .. case.name, function()
      local payload = chunks.padded(case.hex)
      local times, problem = chunks.read(case.encoding, payload)
      local err = tide.error()
      local checked = C.chunk_check(case.encoding, payload, 1024, nil, err)
      if case.original ~= "ok" then
        assert.is_nil(times)
        assert.equal(-1, checked)
        assert.is_true(#problem > 10)
      end
      if not times then assert.equal(-1, checked) end
    end)
  end
end)
