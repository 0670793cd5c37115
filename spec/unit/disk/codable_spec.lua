-- The composite encodings and mappings.db, against the vectors of the original.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/codable.h", "disk/mappings.h", "base/mem.h")
local must, try = disk.must, disk.try

local function decimal(text)
  local negative, digits = tostring(text):match("^(-?)(%d+)$")
  local value = 0ULL
  for digit in digits:gmatch("%d") do value = value * 10 + tonumber(digit) end
  return negative == "-" and -ffi.cast("int64_t", value) or value
end

local string_type = ffi.typeof("struct codable_string")
local function text_of(s) return ffi.string(s.bytes, s.len) end

-- By type: puts a value as the vectors list it; gets one back (value, end), nil for damage.
local types = {}

types.varint = {
  put = function(out, value) C.codable_put_varint(out, decimal(value)) end,
  get = function(p, fin)
    local v = ffi.new("int64_t[1]")
    local at = C.codable_get_varint(p, fin, v)
    return at ~= nil and tostring(v[0]):gsub("LL", ""), at
  end,
}
types.uvarint = {
  put = function(out, value) C.codable_put_uvarint(out, decimal(value)) end,
  get = function(p, fin)
    local v = ffi.new("uint64_t[1]")
    local at = C.codable_get_uvarint(p, fin, v)
    return at ~= nil and tostring(v[0]):gsub("ULL", ""), at
  end,
}
types.Fingerprint = {
  put = function(out, value) C.codable_put_fingerprint(out, tide.hex64(value)) end,
  get = function(p, fin)
    local v = ffi.new("uint64_t[1]")
    local at = C.codable_get_fingerprint(p, fin, v)
    return at ~= nil and disk.hex64(v[0]), at
  end,
}
types.Fingerprints = {
  put = function(out, value)
    local list = ffi.new("uint64_t[?]", #value + 1)
    for i, fp in ipairs(value) do list[i - 1] = tide.hex64(fp) end
    C.codable_put_fingerprints(out, list, #value)
  end,
  get = function(p, fin)
    local list, count = ffi.new("uint64_t *[1]"), ffi.new("size_t[1]")
    local at = C.codable_get_fingerprints(p, fin, list, count)
    if at == nil then return nil, at end
    local value = {}
    for i = 0, tonumber(count[0]) - 1 do value[i + 1] = disk.hex64(list[0][i]) end
    C.mem_free(list[0])
    return value, at
  end,
}
types.LabelName = {
  put = function(out, value) C.codable_put_string(out, value, #value) end,
  get = function(p, fin)
    local s = string_type()
    local at = C.codable_get_string(p, fin, s)
    return at ~= nil and text_of(s), at
  end,
}
types.LabelPair = {
  put = function(out, value)
    C.codable_put_label_pair(out, value[1], #value[1], value[2], #value[2])
  end,
  get = function(p, fin)
    local name, value = string_type(), string_type()
    local at = C.codable_get_label_pair(p, fin, name, value)
    return at ~= nil and { text_of(name), text_of(value) }, at
  end,
}
types.LabelValues = {
  put = function(out, value)
    local list = ffi.new("struct codable_string[?]", #value + 1)
    for i, text in ipairs(value) do list[i - 1] = { text, #text } end
    C.codable_put_label_values(out, list, #value)
  end,
  get = function(p, fin)
    local list, count = ffi.new("struct codable_string *[1]"), ffi.new("size_t[1]")
    local at = C.codable_get_label_values(p, fin, list, count)
    if at == nil then return nil, at end
    local value = {}
    for i = 0, tonumber(count[0]) - 1 do value[i + 1] = text_of(list[0][i]) end
    C.mem_free(list[0])
    return value, at
  end,
}
types.TimeRange = {
  put = function(out, value)
    C.codable_put_time_range(out, decimal(value[1]), decimal(value[2]))
  end,
  get = function(p, fin)
    local v = ffi.new("int64_t[2]")
    local at = C.codable_get_time_range(p, fin, v, v + 1)
    if at == nil then return nil, at end
    return { (tostring(v[0]):gsub("LL", "")), (tostring(v[1]):gsub("LL", "")) }, at
  end,
}
types.Metric = {
  put = function(out, value) C.codable_put_metric(out, disk.labels(value)) end,
  get = function(p, fin)
    local labels = ffi.new("struct labels *[1]")
    local at = C.codable_get_metric(p, fin, labels)
    if at == nil then return nil, at end
    local value = disk.label_list(labels[0])
    C.labels_unref(labels[0])
    return value, at
  end,
}

describe("codable", function()
  local vectors = tide.vectors("vectors/codable.json").vectors
  local seen = 0

  for i, vector in ipairs(vectors) do
    local kind = types[vector.type]
    it(("encodes and decodes %s (vector %d)"):format(vector.type, i), function()
      seen = seen + 1
      local bytes = tide.unhex(vector.hex)
      if vector.type == "uint64" then -- fixed width, as in Fingerprint
        kind = types.Fingerprint
        vector.value = vector.hex
      end
      local p = ffi.cast("const uint8_t *", bytes)
      local value, at = kind.get(p, p + #bytes)
      assert.is_true(at == p + #bytes)
      local wanted = vector.value
      local ordered = true
      if vector.type == "Metric" then
        for j = 2, #wanted do ordered = ordered and wanted[j - 1][1] < wanted[j][1] end
        local present = {}
        for _, pair in ipairs(wanted) do
          if pair[2] ~= "" then present[#present + 1] = pair end
        end
        ordered = ordered and #present == #wanted
        wanted = present
        table.sort(wanted, function(a, b) return a[1] < b[1] end)
      end
      assert.same(wanted, value)
      if ordered then -- we write labels sorted
        local out = ffi.new("struct buf")
        kind.put(out, vector.value)
        assert.equal(vector.hex, tide.hex(disk.take(out)))
      end
      for cut = 0, #bytes - 1 do
        local copy = ffi.new("uint8_t[?]", cut + 1, bytes:sub(1, cut)) -- sanitizers watch its end
        assert.is_true(select(2, kind.get(copy, copy + cut)) == nil)
      end
    end)
  end

  it("has seen all 56 vectors", function() assert.equal(56, seen) end)

  it("refuses impossible counts and lengths without memory for them", function()
    local function refuse(kind, hex)
      local bytes = tide.unhex(hex)
      local p = ffi.cast("const uint8_t *", bytes)
      assert.is_true(select(2, types[kind].get(p, p + #bytes)) == nil, kind .. " " .. hex)
    end
    for _, kind in ipairs { "Metric", "Fingerprints", "LabelValues", "LabelName" } do
      refuse(kind, "01") -- -1
      refuse(kind, "feffffffffffffffff01" .. ("00"):rep(20)) -- 2^63 - 1
      refuse(kind, "80808080808080808001" .. ("00"):rep(20))
    end
    refuse("varint", "ffffffffffffffffffff")
    refuse("Metric", "04026101620261026363") -- "a" twice
    refuse("Metric", "02000262") -- an empty name
  end)
end)

describe("mappings.db", function()
  after_each(disk.cleanup)
  local cases = tide.vectors("vectors/mappings.json").cases

  it("has all 7 vectors", function() assert.equal(7, #cases) end)

  for _, case in ipairs(cases) do
    it("is read as by the original: " .. case.name, function()
      local volume, path = disk.volume()
      disk.write(path .. "/mappings.db", tide.unhex(case.hex))
      local mappings = ffi.new("struct mappings")
      local ok, text, code = try(C.mappings_read, volume, mappings)
      assert.equal(case.error == "", ok == true, text)
      if not ok then
        assert.equal(C.ERR_CORRUPT, code)
        assert.matches("mappings.db", text)
      end
      assert.equal(case.highest_mapped, disk.hex64(mappings.highest))
      local count, fp = 0, ffi.new("uint64_t[1]")
      for _, raw in ipairs(case.mappings) do
        for _, mapped in ipairs(raw.mapped) do
          local unique = tide.unhex(mapped[1])
          count = count + 1
          assert.is_true(C.mappings_find(mappings, tide.hex64(raw.raw_fingerprint), unique, #unique,
            fp))
          assert.equal(mapped[2], disk.hex64(fp[0]))
          assert.is_false(C.mappings_find(mappings, tide.hex64(raw.raw_fingerprint), unique,
            #unique - 1, fp))
        end
      end
      assert.equal(count, tonumber(mappings.count))
      if ok then
        must(C.mappings_write, volume, mappings)
        local written = disk.read(path .. "/mappings.db")
        assert.equal(#tide.unhex(case.hex), #written)
        local again = ffi.new("struct mappings")
        must(C.mappings_read, volume, again)
        assert.equal(count, tonumber(again.count))
        must(C.mappings_write, volume, again)
        assert.equal(written, disk.read(path .. "/mappings.db"))
        assert.equal("-rw-r-----", disk.mode(path .. "/mappings.db"))
        C.mappings_destroy(again)
      end
      C.mappings_destroy(mappings)
    end)
  end

  it("is empty when it is missing, and the same bytes whatever the order", function()
    local volume = disk.volume()
    local one, two = ffi.new("struct mappings"), ffi.new("struct mappings")
    must(C.mappings_read, volume, one)
    assert.equal(0, tonumber(one.count))
    local list = { { 9, "b", 3 }, { 9, "a", 2 }, { 7, "zz", 1 }, { 9, "a", 2 }, { 9, "a\0", 4 } }
    for _, item in ipairs(list) do C.mappings_add(one, item[1], item[2], #item[2], item[3]) end
    for i = #list, 1, -1 do C.mappings_add(two, list[i][1], list[i][2], #list[i][2], list[i][3]) end
    local a, b = ffi.new("struct buf"), ffi.new("struct buf")
    C.mappings_encode(one, a)
    C.mappings_encode(two, b)
    assert.equal(4, tonumber(one.count))
    assert.equal(disk.take(a), disk.take(b))
    C.mappings_destroy(one)
    C.mappings_destroy(two)
  end)
end)
