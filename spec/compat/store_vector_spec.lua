-- The whole folder of store.json, opened: chunks of all encodings, an open head, a partly persisted
-- series, fully persisted and archived ones, a collision, a reserved fingerprint.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"

local vector = tide.vectors("vectors/store.json")

local function unpack_folder(tables)
  local path = engine.folder() .. "/store"
  local function write(name, hex)
    local folder = name:match("^(.*)/[^/]+$")
    os.execute(("mkdir -p '%s/%s'"):format(path, folder or ""))
    local file = assert(io.open(path .. "/" .. name, "wb"))
    file:write(tide.unhex(hex))
    file:close()
  end
  for name, hex in pairs(vector.files) do
    if not (tables and name:match("^%l+_")) then write(name, hex) end
  end
  for name, hex in pairs(tables or {}) do write(name, hex) end
  return path
end

local function key_of(labels)
  local parts = {}
  for _, pair in ipairs(labels) do parts[#parts + 1] = pair[1] .. "\0" .. pair[2] end
  table.sort(parts)
  return table.concat(parts, "\1")
end

-- What a reader must get: the samples as appended, but for those that the original lost bits of.
local function expected_samples(series)
  local list = {}
  for i, sample in ipairs(series.samples) do list[i] = { sample[1], sample[2] } end
  for _, other in ipairs(series.decoded_differs or {}) do
    list[other[1] + 1] = { other[2], other[3] }
  end
  return list
end

local function read_all(path)
  local store = engine.open { data_dir = path, retention_ms = 9223372036854775807LL }
  local found, hex = {}, ffi.new("char[17]")
  store:each({}, nil, nil, function(series, columns, text)
    assert(columns, text)
    local pairs_list, one = {}, { samples = {} }
    for name, value in pairs(engine.metric(series.labels)) do
      pairs_list[#pairs_list + 1] = { name, value }
    end
    engine.C.fingerprint_format(hex, series.fp)
    one.fp = ffi.string(hex)
    for i = 0, tonumber(columns.len) - 1 do
      one.samples[i + 1] = { tonumber(columns.times_ms[i]), tide.bits(columns.values[i]) }
    end
    found[key_of(pairs_list)] = one
  end)
  store:close()
  return found
end

describe("the folder of store.json", function()
  for what, tables in pairs { journals = false, tables = vector.leveldb_files_after_reopen } do
    it("gives every sample with its indexes in " .. what, function()
      local path = unpack_folder(tables)
      for _ = 1, 2 do -- as the original left it, and as we leave it
        local found = read_all(path)
        for _, series in ipairs(vector.series) do
          local one = assert(found[key_of(series.labels)], series.fingerprint)
          assert.equal(series.fingerprint, one.fp)
          assert.same(expected_samples(series), one.samples)
        end
      end
    end)
  end

  it("has series in all states", function() assert.equal(9, #vector.series) end)
end)
