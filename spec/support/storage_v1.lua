-- A data folder read by the format's rules in Lua alone, without the C code: heads.db, series
-- files, mappings.db, the four indexes, and the names in the folder. For specs (busted's assert).
local assert = require "luassert"
local layout = require "spec.support.layout"
local leveldb = require "spec.support.leveldb"

local storage_v1 = {}
local slurp, file_of = layout.slurp, layout.file_of

-- Seconds and nanoseconds of the modification time as one 64-bit number, or -1.
local function mtime_ns(path)
  local pipe = io.popen("stat -c %.9Y " .. path .. " 2>/dev/null")
  local seconds, nanos = (pipe:read("*a") or ""):match("^(%d+)%.(%d+)")
  pipe:close()
  if not seconds then return -1LL end
  return tonumber(seconds) * 1000000000LL + tonumber(nanos)
end

-- The chunks of a series file, checked for order; none when there is no file.
local function file_chunks(path)
  local chunks = layout.file_chunks(path)
  local size = #chunks > 0 and #slurp(path) or 0
  assert.equal(#chunks * layout.RECORD, size, path)
  for i, chunk in ipairs(chunks) do
    assert.is_true(chunk.encoding <= 2 and chunk.first <= chunk.last, path)
    assert.is_true(i == 1 or chunks[i - 1].last < chunk.first, path)
  end
  return chunks
end

-- Ours are in order; the original's, in the archive, in any.
local function check_labels(labels, in_order)
  local seen, last = {}, nil
  for _, label in ipairs(labels) do
    assert.is_nil(seen[label[1]])
    assert.is_true(#label[2] > 0)
    assert.is_true(not in_order or not last or last < label[1], "labels in order")
    seen[label[1]] = true
    last = label[1]
  end
end

-- The fingerprint is that of the metric, or a mapped one of mappings.db.
local function check_fingerprint(fp, labels, mapped)
  if fp ~= layout.fingerprint(labels) then assert.equal(layout.unique(labels), mapped[fp], fp) end
end

local function check_head(one, folder)
  check_labels(one.labels, true)
  assert.is_true(one.count >= 1 and one.watermark >= 0 and one.watermark <= one.count)
  assert.is_true(one.offset >= 0)
  local path = file_of(folder, one.fp)
  local chunks = file_chunks(path)
  assert.equal(#chunks, one.offset + one.watermark, one.fp)
  if #chunks > 0 then assert.is_true(mtime_ns(path) == one.mtime, one.fp) end
  for i, chunk in ipairs(one.chunks) do
    if i <= one.watermark then
      local there = chunks[one.offset + i]
      assert.equal(there.first, chunk.first)
      assert.equal(there.last, chunk.last)
    else
      assert.is_true(chunk.encoding <= 2)
    end
  end
end

-- mappings.db: { [fp] = unique string } of all mapped ones.
local function read_mappings(path)
  local reader, mapped = layout.reader(slurp(path)), {}
  assert.equal("PrometheusMappings\1", reader:take(19))
  for _ = 1, tonumber(reader:uvarint()) do
    reader:hex(8)
    for _ = 1, tonumber(reader:uvarint()) do
      local unique = reader:take(tonumber(reader:uvarint()))
      mapped[reader:hex(8)] = unique
    end
  end
  assert.is_true(reader:ended())
  return mapped
end

-- Entries of an index, each read to its end: calls visit(reader of the key, reader of the value).
local function each_entry(folder, name, visit)
  for _, entry in ipairs(leveldb.read(folder .. "/" .. name)) do
    local key, value = layout.reader(entry[1]), layout.reader(entry[2])
    visit(key, value)
    assert.is_true(key:ended() and value:ended(), name)
  end
end

-- The archive: { [fp] = labels }, each with a range that is that of its file.
local function check_archive(folder, heads, mapped)
  local archived = {}
  each_entry(folder, "archived_fingerprint_to_metric", function(key, value)
    local fp, labels = key:hex(8), {}
    for i = 1, value:number() do labels[i] = { value:string(), value:string() } end
    check_labels(labels, false)
    check_fingerprint(fp, labels, mapped)
    assert.is_nil(heads[fp], "in memory and archived")
    archived[fp] = labels
  end)
  local ranges = 0
  each_entry(folder, "archived_fingerprint_to_timerange", function(key, value)
    local fp, first, last = key:hex(8), value:number(), value:number()
    local chunks = file_chunks(file_of(folder, fp))
    assert.truthy(archived[fp], "a range without a metric")
    assert.is_true(first <= chunks[1].first, fp) -- it may be too old
    assert.equal(chunks[#chunks].last, last, fp)
    ranges = ranges + 1
  end)
  for _ in pairs(archived) do ranges = ranges - 1 end
  assert.equal(0, ranges, "metrics without a range")
  return archived
end

-- { ["name\0value"] = { [fp] = true } } of all series.
local function pairs_of(heads, archived)
  local sets = {}
  local function add(fp, labels)
    for _, label in ipairs(labels) do
      local key = label[1] .. "\0" .. label[2]
      sets[key] = sets[key] or {}
      sets[key][fp] = true
    end
  end
  for fp, one in pairs(heads) do add(fp, one.labels) end
  for fp, labels in pairs(archived) do add(fp, labels) end
  return sets
end

-- Both label indexes hold exactly the labels of all series.
local function check_label_indexes(folder, heads, archived)
  local want, values = pairs_of(heads, archived), {}
  each_entry(folder, "labelpair_to_fingerprints", function(key, value)
    local name, text = key:string(), key:string()
    local set = want[name .. "\0" .. text]
    assert.truthy(set, "a pair of no series: " .. name .. "=" .. text)
    for _ = 1, value:number() do
      local fp = value:hex(8)
      assert.is_true(set[fp], name .. "=" .. text .. " has " .. fp)
      set[fp] = nil
    end
    assert.is_nil((next(set)), name .. "=" .. text .. " lacks series")
    want[name .. "\0" .. text] = nil
    values[name] = values[name] or {}
    values[name][text] = true
  end)
  assert.is_nil((next(want)))
  each_entry(folder, "labelname_to_labelvalues", function(key, value)
    local name = key:string()
    for _ = 1, value:number() do
      local text = value:string()
      assert.is_true(values[name] and values[name][text], name .. "=" .. text)
      values[name][text] = nil
    end
    assert.is_nil((next(values[name])), name)
    values[name] = nil
  end)
  assert.is_nil((next(values)))
end

-- Checks the folder; returns what heads.db has by fingerprint. `also`: a pattern of further names.
function storage_v1.check(folder, also)
  local heads, version = layout.read_heads(slurp(folder .. "/heads.db"))
  local mapped, seen = read_mappings(folder .. "/mappings.db"), {}
  assert.equal(2, version)
  assert.equal("1\n", slurp(folder .. "/VERSION"))
  for _, one in ipairs(heads) do
    assert.is_nil(seen[one.fp])
    check_head(one, folder)
    check_fingerprint(one.fp, one.labels, mapped)
    seen[one.fp] = one
  end
  local archived = check_archive(folder, seen, mapped)
  check_label_indexes(folder, seen, archived)
  local pipe = io.popen("cd " .. folder .. " && find . -type f | sort")
  for name in pipe:lines() do
    local known = name == "./VERSION" or name == "./heads.db" or
      name == "./mappings.db" or name:find("^%./retention%.%a+$") or
      name == "./use.db" or name == "./downsample.state" or
      name:find("^%./%x%x/%x+%.db$") or name:find("^%./orphaned/") or
      name:find("^%./archived_fingerprint_to_%a+/") or name:find("^%./label%a+_to_%a+/") or
      name:find("^%./lost%+found") or name:find("^%./%.") or also and name:find(also)
    assert.truthy(known, name)
  end
  pipe:close()
  return seen, archived
end

return storage_v1
