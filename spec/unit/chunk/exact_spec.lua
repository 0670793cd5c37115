-- The default mode of the writer: whatever goes in comes back, bit for bit.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local chunks = require "spec.unit.chunk.chunks"
local C = chunks.C

local names = { [0] = "delta", "double-delta", "varbit" }

local function arrays(samples)
  local times, values = ffi.new("int64_t[?]", #samples), ffi.new("double[?]", #samples)
  for i, sample in ipairs(samples) do
    times[i - 1], values[i - 1] = sample[1], sample[2]
  end
  return times, values, #samples
end

-- Values only, a second apart.
local function regular(list)
  local samples = {}
  for i, value in ipairs(list) do samples[i] = { 1500000000000 + 1000 * i, value } end
  return arrays(samples)
end

-- Samples that come back otherwise than they went in.
local function lost(times, values, n, encoding, default, mode)
  local list, refused, text = chunks.write(times, values, n, encoding, default, mode)
  assert(not refused, text)
  local at, differing = 0, 0
  for _, chunk in ipairs(list) do
    local got_times, got_values, count = chunks.read(chunk.encoding, chunk.payload)
    assert(got_times, got_values)
    for i = 0, count - 1 do
      if got_times[i] ~= times[at] or chunks.bits(got_values, i) ~= chunks.bits(values, at) then
        differing = differing + 1
      end
      at = at + 1
    end
  end
  assert.equal(n, at)
  return differing, list
end

local function is_increasing(times, n)
  for i = 1, n - 1 do
    if times[i] <= times[i - 1] then return false end
  end
  return true
end

local function check_exact(times, values, n)
  for encoding = 0, 2 do
    for default = 0, 2 do
      local differing, list = lost(times, values, n, encoding, default, "exact")
      if differing > 0 then
        error(("%d of %d samples lost from %s into %s"):format(differing, n, names[encoding],
          names[default]))
      end
      if is_increasing(times, n) then
        local err, summary, count = tide.error(), ffi.new("struct chunk_summary"), 0
        for _, chunk in ipairs(list) do
          if C.chunk_check(chunk.encoding, chunk.payload, 1024, summary, err) ~= 0 then
            error(tide.text(err))
          end
          assert.equal(chunk.first, tonumber(summary.first_ms))
          assert.equal(chunk.last, tonumber(summary.last_ms))
          count = count + tonumber(summary.samples)
        end
        assert.equal(n, count)
      end
    end
  end
end

describe("exact mode", function()
  -- What the original loses, by the format's own examples.
  local losses = {
    { "6.1 then 0.1", { 6.1, 0.1, 0.1, 6.1 }, { 0, 2 } },
    { "-9.6, 9.4, 9.4", { -9.6, 9.4, 9.4, 9.4 }, { 1 } },
    { "the sign of zero", { 0.0, -0.0, 0.0, -0.0, -0.0 }, { 0, 1, 2 } },
    { "a negative zero among integers", { 1, 2, -0.0, 3, 300, -0.0 }, { 0, 1, 2 } },
  }
  for _, loss in ipairs(losses) do
    it("keeps " .. loss[1] .. ", which the original loses", function()
      local times, values, n = regular(loss[2])
      for _, encoding in ipairs(loss[3]) do
        assert.is_true(lost(times, values, n, encoding, encoding, "original") > 0)
      end
      check_exact(times, values, n)
    end)
  end

  it("keeps a time delta of 2^24 ms, after which the original is wrong", function()
    for _, head in ipairs { {}, { 0 }, { 0, 16777000 }, { 0, 1000, 16000000 } } do
      local samples, last = {}, 0
      for _, time in ipairs(head) do
        samples[#samples + 1] = { time, 1 }
        last = time
      end
      for _ = 1, 3 do
        samples[#samples + 1] = { last, 2 }
        last = last + 16777216
        samples[#samples + 1] = { last, 3 }
        last = last + 10000
      end
      if samples[2][1] == samples[1][1] then table.remove(samples, 1) end
      check_exact(arrays(samples))
    end
    local times, values, n = arrays { { 0, 1 }, { 16777216, 1 }, { 16787216, 1 } }
    assert.is_true(lost(times, values, n, 2, 2, "original") > 0)
    check_exact(times, values, n)
  end)

  for _, file in ipairs { "chunks.json", "chunks_edges.json" } do
    it("keeps every sample of " .. file, function()
      for _, case in ipairs(tide.vectors("vectors/" .. file).cases) do
        -- A time before the last one never reaches a writer.
        if not case.name:match("^err%-") then
          local ok, problem = pcall(check_exact, chunks.samples(case))
          if not ok then error(case.name .. ": " .. tostring(problem)) end
        end
      end
    end)
  end

  it("keeps every sample of the seeds 1 to 300", function()
    for seed = 1, 300 do
      local ok, problem = pcall(check_exact, chunks.seeded(seed))
      if not ok then error("seed " .. seed .. ": " .. tostring(problem)) end
    end
  end)

  it("keeps runs that change their kind", function()
    math.randomseed(42)
    local kinds = {
      function(last) return last end,
      function(last) return last + math.random(0, 3) end,
      function(last) return math.floor(last) + math.random(-100000, 100000) end,
      function() return math.random() end,
      function(last) return last + 0.1 end,
      function() return math.random(1, 100) / 10 end,
      function() return math.random() < 0.5 and 0.0 or -0.0 end,
      function() return math.random() < 0.5 and 0 / 0 or 1 / 0 end,
      function(last) return last * -1 end,
      function() return math.random() * 2 ^ math.random(-1000, 1000) end,
    }
    for round = 1, 400 do
      local samples, time, value = {}, math.random(-1000000, 1000000), 0
      for _ = 1, math.random(1, 8) do
        local kind = kinds[math.random(#kinds)]
        local step, jitter = 10 ^ math.random(0, 5), math.random(0, 2)
        for _ = 1, math.random(1, 300) do
          value = kind(value)
          if value ~= value and math.random() < 0.9 then value = 1 end
          time = time + step + jitter * math.random(0, 40)
          samples[#samples + 1] = { time, value }
        end
      end
      local ok, problem = pcall(check_exact, arrays(samples))
      if not ok then error("round " .. round .. ": " .. tostring(problem)) end
    end
  end)

  it("writes the original's bytes where the original loses nothing", function()
    local same, other = 0, 0
    for _, case in ipairs(tide.vectors("vectors/chunks.json").cases) do
      if #(case.decoded_differs or {}) == 0 and not case.add_error then
        local times, values, n = chunks.samples(case)
        local list = chunks.write(times, values, n, case.start_encoding, case.default_encoding,
          "exact")
        local equal = #list == #case.chunks
        for i, chunk in ipairs(list) do
          equal = equal and chunk.payload == chunks.padded(case.chunks[i].hex)
        end
        if equal then same = same + 1 else other = other + 1 end
      end
    end
    assert.is_true(same > 20 * other, ("%d the same, %d not"):format(same, other))
  end)
end)
