-- Pushgateway paths: grouping labels, base64, escapes, and what is refused.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("wire/push_group.h", "base/arena.h")

local function parse(path)
  local group, arena, err = ffi.new("struct push_group"), ffi.new("struct arena"), tide.error()
  local out
  if C.push_group_parse(path, #path, arena, group, err) ~= 0 then return nil, tide.text(err) end
  out = {}
  for i = 0, tonumber(group.count) - 1 do
    local label = group.labels[i]
    out[i + 1] = ffi.string(label.name, label.name_len) .. "=" ..
      ffi.string(label.value, label.value_len)
  end
  C.arena_destroy(arena)
  return table.concat(out, " ")
end

describe("the path of a push group", function()
  for path, labels in pairs {
    ["job/a"] = "job=a",
    ["job/a/instance/b"] = "instance=b job=a",
    ["job/directory_cleaner/path@base64/L3Zhci90bXA"] = "job=directory_cleaner path=/var/tmp",
    ["job@base64/YQ=="] = "job=a",
    ["job@base64/YWI"] = "job=ab",
    ["job/a/x@base64/="] = "job=a x=",
    ["job/a/x@base64/8J-YgA"] = "job=a x=😀",
    ["job/a%2Fb%20c"] = "job=a/b c",
    ["job/a/U__my_2e_label/v"] = "job=a my.label=v",
    ["job/a/z/1/b/2"] = "b=2 job=a z=1",
  } do
    it("reads " .. path, function() assert.equal(labels, parse(path)) end)
  end

  for path, why in pairs {
    [""] = 'the path has no value for ""',
    ["job"] = 'the path has no value for "job"',
    ["job/a/b"] = 'the path has no value for "b"',
    ["job/"] = "the path must begin with job/ and a job's name",
    ["job@base64/="] = "the path must begin with job/ and a job's name",
    ["instance/a"] = "the path must begin with job/ and a job's name",
    ["job/a/__name__/b"] = '"__name__" is not a label name for a group',
    ["job/a//b"] = '"" is not a label name for a group',
    ["job/a/b@base64/Y"] = '"Y" is not URL-safe base64',
    ["job/a/b@base64/a+b/"] = '"a+b" is not URL-safe base64',
    ["job/%4"] = 'broken percent-encoding in "job/%4"',
    ["job/a/job/b"] = 'label "job" is given twice',
    ["job/a" .. ("/b/c"):rep(64)] = "more than 64 labels in the path",
  } do
    it("refuses " .. path:sub(1, 40), function()
      local labels, problem = parse(path)
      assert.is_nil(labels)
      assert.equal(why, problem)
    end)
  end
end)
