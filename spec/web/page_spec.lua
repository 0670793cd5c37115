-- How the page is served: types, codings, tags, policy; and the plain page of a build without it.
local process = require "spec.support.process"
local server = require "spec.support.server"

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

describe("the page", function()
  local tidemark, folder, built

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder .. "/data")
    built = tidemark:request("GET", "/assets/app.js").status == 200
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function get(path, headers, method)
    return tidemark:request(method or "GET", path, nil, headers)
  end
  local function unpacked(bytes)
    local path = folder .. "/packed"
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
    local pipe = io.popen("gzip -dc " .. path)
    local text = pipe:read("*a")
    pipe:close()
    return text
  end

  it("is HTML under a policy without scripts in it or from elsewhere", function()
    for _, path in ipairs { "/", "/graph", "/graph?g0.expr=up", "/prometheus/graph" } do
      local answer = get(path)
      assert.equal(200, answer.status)
      assert.equal("text/html; charset=utf-8", answer.headers["content-type"])
      assert.equal("nosniff", answer.headers["x-content-type-options"])
      assert.equal("DENY", answer.headers["x-frame-options"])
      local policy = answer.headers["content-security-policy"]
      assert.truthy(policy:find("default-src 'none'; script-src 'self';", 1, true))
      assert.truthy(policy:find("connect-src 'self'", 1, true))
      assert.is_nil(answer.body:find("<script>", 1, true))
      assert.is_nil(answer.body:find(" on%w+="))
    end
  end)

  it("is the built one where there is one, and says otherwise what is missing", function()
    local body = get("/").body
    if exists("web/dist/app.js.gz") then assert.is_true(built) end
    if built then
      assert.truthy(body:find('src="assets/app.js"', 1, true))
    else
      assert.truthy(body:find("make web all", 1, true))
      local missing = get("/assets/app.js")
      assert.equal(404, missing.status)
      assert.truthy(missing.body:find("make web all", 1, true))
    end
  end)

  it("has no file of other names", function()
    for _, name in ipairs { "nothing.js", "..%2f..%2flua%2ftidemark%2fschema.lua", "%00",
      ("x"):rep(500) } do
      local answer = get("/assets/" .. name)
      assert.equal(404, answer.status)
      assert.truthy(answer.body:find('"errorType":"not_found"', 1, true))
    end
  end)

  it("has typed files, packed and plain, with tags that spare sending them again", function()
    if not built then return pending("this build has no page (make web all)") end
    for name, type in pairs { ["app.js"] = "text/javascript; charset=utf-8",
      ["style.css"] = "text/css; charset=utf-8" } do
      local path = "/assets/" .. name
      local packed = get(path, { ["Accept-Encoding"] = "gzip" })
      local plain = get(path)
      assert.equal(type, packed.headers["content-type"])
      assert.equal("gzip", packed.headers["content-encoding"])
      assert.is_nil(plain.headers["content-encoding"])
      assert.truthy(plain.headers.vary:find("Accept-Encoding", 1, true))
      assert.is_true(unpacked(packed.body) == plain.body)
      assert.not_equal(packed.headers.etag, plain.headers.etag)

      local same = get(path, { ["If-None-Match"] = plain.headers.etag })
      assert.equal(304, same.status)
      assert.equal("", same.body)
      assert.equal(plain.headers.etag, same.headers.etag)
      assert.equal(200, get(path, { ["If-None-Match"] = '"another"' }).status)
      local head = get(path, nil, "HEAD")
      assert.equal(tostring(#plain.body), head.headers["content-length"])
    end
  end)

  it("weighs at most 280 KB packed", function()
    if not built then return pending("this build has no page (make web all)") end
    local weight = 0
    for _, path in ipairs { "/", "/assets/app.js", "/assets/style.css" } do
      weight = weight + #get(path, { ["Accept-Encoding"] = "gzip" }).body
    end
    assert.truthy(weight <= 280 * 1024, weight)
  end)
end)
