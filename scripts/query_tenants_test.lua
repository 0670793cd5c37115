scripts "query_tenants"

local function push_two()
  push('up{tenant="web", job="a"}', 1)
  push('up{tenant="db", job="b"}', 1)
end

test("a tenant sees its own series, whatever the query is", function()
  push_two()
  expect.equal({ ['up{job="a",tenant="web"}'] = 1 }, values("up", { tenant = "web" }))
  expect.equal({}, values('up{tenant="db"}', { tenant = "web" }))
  expect.equal({ ["{}"] = 1 }, values("count(up or up offset 1s)", { tenant = "web" }))
end)

test("who is no tenant reads nothing", function()
  push_two()
  local answer, text, status = query("up", { user = "eve" })
  expect.equal(nil, answer)
  expect.equal(403, status)
  expect.contains("needs a tenant", text)
end)

test("admins see everything", function()
  push_two()
  expect.equal(2, #query("up", { user = "admin" }))
end)

test("other ways to read are narrowed, too", function()
  for _, kind in ipairs { "series", "labels", "label_values", "federate", "export", "remote_read",
    "status" } do
    expect.equal({ 'tenant="web"' }, shape({ kind = kind, tenant = "web" }).restrictions, kind)
  end
end)
